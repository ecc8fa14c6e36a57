from __future__ import annotations

from rest_framework import serializers

from library.models import Author, Book, Topic


class AuthorSerializer(serializers.ModelSerializer[Author]):
    book_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Author
        fields = ("id", "name", "slug", "book_count")


class BookSerializer(serializers.ModelSerializer[Book]):
    author = serializers.SlugRelatedField(slug_field="slug", queryset=Author.objects.all())
    topics = serializers.SlugRelatedField(
        slug_field="name", queryset=Topic.objects.all(), many=True, required=False
    )

    class Meta:
        model = Book
        fields = ("id", "title", "summary", "price", "copies", "author", "topics")
