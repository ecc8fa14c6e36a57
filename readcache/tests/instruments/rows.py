"""Rows of the library for a test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any

from django.utils.text import slugify

from library.models import Author, Book, Topic

# Other processes may make rows in the same database at the same time.
_numbers = count(1_000 * os.getpid())


def make_author(name: str = "") -> Author:
    """The author of this name, created unless there is one."""
    name = name or f"Author {next(_numbers)}"
    return Author.objects.get_or_create(slug=slugify(name), defaults={"name": name})[0]


def make_topic(name: str = "") -> Topic:
    """The topic of this name, created unless there is one."""
    return Topic.objects.get_or_create(name=name or f"topic-{next(_numbers)}")[0]


def make_book(*, topics: Sequence[Topic] = (), **fields: Any) -> Book:
    """A new book that can be borrowed, with a new author unless one is given."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "title": f"Collected letters, volume {number}",
        "summary": "Letters to friends and to a publisher who never answered.",
        "price": Decimal("9.99"),
        "copies": 7,
    }
    book = Book.objects.create(**{**defaults, "author": fields.get("author") or make_author(), **fields})
    if topics:
        book.topics.add(*topics)
    return book
