"""A library: each book has an author (a foreign key) and topics (a many-to-many field)."""

from __future__ import annotations

from django.db import models
from django.db.models import Count


class AuthorQuerySet(models.QuerySet["Author"]):
    def with_book_count(self) -> AuthorQuerySet:
        """Each author has the number of their books as ``book_count``."""
        return self.annotate(book_count=Count("books"))


class Author(models.Model):
    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=100, unique=True)

    objects = AuthorQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Topic(models.Model):
    name = models.CharField(max_length=50, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Book(models.Model):
    title = models.CharField(max_length=200)
    summary = models.TextField(blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    copies = models.PositiveIntegerField(default=0)
    author = models.ForeignKey(Author, on_delete=models.PROTECT, related_name="books")
    topics = models.ManyToManyField(Topic, related_name="books", blank=True)
    isbn = models.CharField(max_length=32, unique=True, null=True, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.title
