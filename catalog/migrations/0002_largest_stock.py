import django.core.validators
from django.db import migrations, models

MAX_STOCK = 2_147_483_647


def cap_stock(apps, schema_editor):
    """Lower the stocks that SQLite accepted before and the new constraint refuses."""
    products = apps.get_model("catalog", "Product").objects.using(schema_editor.connection.alias)
    products.filter(stock__gt=MAX_STOCK).update(stock=MAX_STOCK)


class Migration(migrations.Migration):

    dependencies = [
        ("catalog", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(cap_stock, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="product",
            name="stock",
            field=models.PositiveIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(MAX_STOCK)]),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(condition=models.Q(("stock__lte", MAX_STOCK)), name="product_stock_not_beyond_sum"),
        ),
    ]
