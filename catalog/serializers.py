"""JSON of categories, products and statistics. Products are read and written in the same form."""

from rest_framework import serializers

from catalog.models import Category, Product, Tag


class CategorySerializer(serializers.ModelSerializer[Category]):
    product_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Category
        fields = ["id", "name", "slug", "product_count"]


class ProductSerializer(serializers.ModelSerializer[Product]):
    category = serializers.SlugRelatedField(slug_field="slug", queryset=Category.objects.all())
    tags = serializers.SlugRelatedField(
        slug_field="name", queryset=Tag.objects.all(), many=True, required=False
    )

    class Meta:
        model = Product
        fields = [
            "id",
            "name",
            "description",
            "price",
            "stock",
            "category",
            "tags",
            "created_at",
            "updated_at",
        ]


class CategoryStatisticsSerializer(serializers.Serializer[dict[str, object]]):
    category = serializers.CharField()
    count = serializers.IntegerField()
    price_min = serializers.DecimalField(max_digits=10, decimal_places=2)
    price_max = serializers.DecimalField(max_digits=10, decimal_places=2)
    price_mean = serializers.DecimalField(max_digits=10, decimal_places=2)
    total_stock = serializers.IntegerField()


class ProductStatisticsSerializer(serializers.Serializer[dict[str, object]]):
    count = serializers.IntegerField()
    price_min = serializers.DecimalField(max_digits=10, decimal_places=2)
    price_max = serializers.DecimalField(max_digits=10, decimal_places=2)
    price_mean = serializers.DecimalField(max_digits=10, decimal_places=2)
    total_stock = serializers.IntegerField()
    categories = CategoryStatisticsSerializer(many=True)
