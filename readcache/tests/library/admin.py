from __future__ import annotations

from django.contrib import admin

from library.models import Book


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    fields = ("title", "summary", "price", "copies", "author", "topics")
