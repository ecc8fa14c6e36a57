"""Every kind of write that a project does, each to a target, with the pages that show it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.forms import model_to_dict
from django.test import Client
from rest_framework.test import APIClient

from instruments.rows import make_author, make_book, make_topic
from instruments.transactions import execute
from library.models import Author, Book, Topic

NEW_TITLE = "New"
NEW_PRICE = Decimal("12.50")
SEEDED_BOOKS = 3

Page: TypeAlias = Literal["list", "detail", "statistics", "author"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Two books that have their author and their topic in common, and an admin who may change them.

    Their numbers are "isbn-0" and "isbn-1". ``label`` ends every name that is unique, so that several
    targets can exist at the same time.
    """

    author: Author
    topic: Topic
    books: tuple[Book, Book]
    admin: User
    label: str = ""

    @property
    def book(self) -> Book:
        return self.books[0]

    def unique(self, name: str) -> str:
        return f"{name}{self.label}"

    def new_book(self, isbn: str | None = None) -> Book:
        """A book of the same author that is not saved. ``isbn`` is without the label."""
        number = self.unique(isbn) if isbn else None
        return Book(title=NEW_TITLE, price=1, copies=1, author=self.author, isbn=number)

    def browser(self) -> Client:
        """A browser in which the admin is logged in."""
        browser = Client()
        browser.force_login(self.admin)
        return browser


Write: TypeAlias = Callable[[Target], None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """``changes`` are the pages that show something else after the write; no other page does."""

    changes: frozenset[Page]
    write: Write

    def __str__(self) -> str:
        return self.write.__name__


KINDS: list[Kind] = []


def make_target(label: str = "") -> Target:
    author, topic = make_author(f"Old author{label}"), make_topic(f"old{label}")
    first, second = (
        make_book(
            title="Old",
            price=Decimal("10.00"),
            copies=5,
            author=author,
            topics=[topic],
            isbn=f"isbn-{number}{label}",
        )
        for number in range(2)
    )
    return Target(author=author, topic=topic, books=(first, second), admin=_admin(), label=label)


def find_target(label: str) -> Target:
    """A target that another process may have made."""
    first, second = (Book.objects.get(isbn=f"isbn-{number}{label}") for number in range(2))
    author, topic = Author.objects.get(name=f"Old author{label}"), Topic.objects.get(name=f"old{label}")
    return Target(author=author, topic=topic, books=(first, second), admin=_admin(), label=label)


def _admin() -> User:
    name = "wilhelmina"
    return User.objects.filter(username=name).first() or User.objects.create_superuser(name)


def kind(*changes: Page) -> Callable[[Write], Write]:
    """Put the function into the list of all kinds."""

    def register(write: Write) -> Write:
        KINDS.append(Kind(changes=frozenset(changes), write=write))
        return write

    return register


# Books


@kind("list", "detail")
def save(target: Target) -> None:
    target.book.title = NEW_TITLE
    target.book.save()


@kind("list", "detail", "statistics")
def save_one_field(target: Target) -> None:
    target.book.price = NEW_PRICE
    target.book.save(update_fields=["price"])


@kind("list", "detail", "statistics")
def save_an_expression(target: Target) -> None:
    book: Any = Book.objects.get(pk=target.book.pk)
    book.copies = F("copies") + 1
    book.save()


@kind("list", "statistics", "author")
def create(target: Target) -> None:
    target.new_book().save()


@kind("list", "statistics", "author")
def get_or_create(target: Target) -> None:
    new = target.new_book()
    defaults = {"title": new.title, "price": new.price, "copies": new.copies, "author": new.author}
    Book.objects.get_or_create(isbn=target.unique("isbn-2"), defaults=defaults)


@kind("list", "detail")
def update_or_create(target: Target) -> None:
    Book.objects.update_or_create(isbn=target.unique("isbn-0"), defaults={"title": NEW_TITLE})


@kind("list", "detail", "statistics", "author")
def delete(target: Target) -> None:
    Book.objects.get(pk=target.book.pk).delete()


@kind("list", "detail", "statistics")
def update(target: Target) -> None:
    Book.objects.filter(pk=target.book.pk).update(price=NEW_PRICE)


@kind("list", "detail", "statistics")
def update_by_an_expression(target: Target) -> None:
    Book.objects.filter(pk=target.book.pk).update(copies=F("copies") - 1)


@kind("list", "detail", "statistics", "author")
def delete_by_a_query(target: Target) -> None:
    Book.objects.filter(pk=target.book.pk).delete()


@kind("list", "statistics", "author")
def bulk_create(target: Target) -> None:
    Book.objects.bulk_create([target.new_book(), target.new_book()])


@kind("list", "statistics", "author")
def bulk_create_ignoring_conflicts(target: Target) -> None:
    Book.objects.bulk_create([target.new_book("isbn-0"), target.new_book("isbn-2")], ignore_conflicts=True)


@kind("list", "detail")
def bulk_create_updating_conflicts(target: Target) -> None:
    Book.objects.bulk_create(
        [target.new_book("isbn-0")], update_conflicts=True, unique_fields=["isbn"], update_fields=["title"]
    )


@kind("list", "detail")
def bulk_update(target: Target) -> None:
    target.book.title = NEW_TITLE
    Book.objects.bulk_update([target.book], ["title"])


@kind("list", "statistics")
def seed(target: Target) -> None:
    """Books with authors and topics of their own, in one transaction."""
    with transaction.atomic():
        topic = make_topic()
        books = Book.objects.bulk_create(
            Book(title=NEW_TITLE, price=2, copies=2, author=make_author()) for _ in range(SEEDED_BOOKS)
        )
        rows = Book.topics.through
        rows.objects.bulk_create(rows(book_id=book.pk, topic_id=topic.pk) for book in books)


# Topics of books, topics and authors


@kind("list", "detail")
def add_a_topic(target: Target) -> None:
    target.book.topics.add(make_topic())


@kind("list", "detail")
def add_a_topic_from_its_side(target: Target) -> None:
    make_topic().books.add(target.book)


@kind("list", "detail")
def add_a_topic_and_remove_it(target: Target) -> None:
    """From a book that has lost it without a signal."""
    Book.topics.through.objects.filter(book_id=target.book.pk).delete()
    target.book.topics.add(target.topic)
    target.book.topics.remove(target.topic)


@kind("list", "detail")
def remove_a_topic(target: Target) -> None:
    target.book.topics.remove(target.topic)


@kind("list", "detail")
def set_the_topics(target: Target) -> None:
    target.book.topics.set([make_topic()])


@kind("list", "detail")
def clear_the_topics(target: Target) -> None:
    target.book.topics.clear()


@kind("list", "detail")
def delete_rows_of_topics_by_a_raw_query(target: Target) -> None:
    rows = Book.topics.through.objects.filter(book_id=target.book.pk)
    rows._raw_delete(rows.db)


@kind("list", "detail")
def rename_the_topic(target: Target) -> None:
    Topic.objects.filter(pk=target.topic.pk).update(name=target.unique("new"))


@kind("list", "detail")
def delete_the_topic(target: Target) -> None:
    """The rows that join it to books are deleted with it."""
    Topic.objects.get(pk=target.topic.pk).delete()


@kind("author")
def rename_the_author(target: Target) -> None:
    target.author.name = target.unique("New author")
    target.author.save()


@kind("list", "detail", "statistics", "author")
def change_the_slug_of_the_author(target: Target) -> None:
    Author.objects.filter(pk=target.author.pk).update(slug=target.unique("new-slug"))


@kind("list", "detail", "statistics", "author")
def delete_the_author(target: Target) -> None:
    """The books of an author protect them, and are deleted first."""
    Book.objects.filter(author=target.author).delete()
    Author.objects.get(pk=target.author.pk).delete()


# Statements


@kind("list", "detail")
def raw_sql(target: Target) -> None:
    execute("UPDATE library_book SET title = %s WHERE id = %s", [NEW_TITLE, target.book.pk])


@kind("list", "detail")
def raw_sql_after_a_comment(target: Target) -> None:
    sql = "/* SELECT */ -- SELECT\n UPDATE library_book SET title = %s WHERE id = %s"
    execute(sql, [NEW_TITLE, target.book.pk])


@kind("list", "detail")
def executemany(target: Target) -> None:
    sql = "UPDATE library_book SET title = %s WHERE id = %s"
    with connection.cursor() as cursor:
        cursor.executemany(sql, [(NEW_TITLE, book.pk) for book in target.books])


@kind("list", "detail")
def cte(target: Target) -> None:
    """A CTE of PostgreSQL may write before the SELECT at the end; one of SQLite comes before an UPDATE."""
    if connection.vendor == "postgresql":
        sql = (
            "WITH changed AS (UPDATE library_book SET title = %s WHERE id = %s RETURNING id) "
            "SELECT id FROM changed"
        )
    else:
        sql = (
            "WITH new (title) AS (VALUES (%s)) "
            "UPDATE library_book SET title = (SELECT title FROM new) WHERE id = %s"
        )
    execute(sql, [NEW_TITLE, target.book.pk])


@kind("list", "detail")
def cte_after_a_literal(target: Target) -> None:
    """The literal looks like the start of a comment."""
    if connection.vendor == "postgresql":
        sql = (
            "WITH a AS (SELECT '--'), "
            "b AS (UPDATE library_book SET title = %s WHERE id = %s RETURNING id) SELECT 1"
        )
    else:
        sql = (
            "WITH a (dashes) AS (VALUES ('--')) "
            "UPDATE library_book SET title = %s || (SELECT dashes FROM a) WHERE id = %s"
        )
    execute(sql, [NEW_TITLE, target.book.pk])


@kind("list", "detail")
def upsert(target: Target) -> None:
    sql = "INSERT INTO library_topic (name) VALUES (%s) ON CONFLICT (name) DO UPDATE SET name = %s"
    execute(sql, [target.topic.name, target.unique("new")])


# The admin, the API, a fixture


@kind("list", "detail")
def save_in_the_admin(target: Target) -> None:
    form = model_to_dict(target.book, fields=["summary", "price", "copies", "author"])
    form |= {"title": NEW_TITLE, "topics": [target.topic.pk]}
    answer = target.browser().post(f"/admin/library/book/{target.book.pk}/change/", form)
    assert answer.status_code == 302


@kind("list", "detail", "statistics", "author")
def delete_in_the_admin(target: Target) -> None:
    """By the action that deletes the selected rows of the list."""
    form = {"action": "delete_selected", "_selected_action": [target.book.pk], "post": "yes"}
    assert target.browser().post("/admin/library/book/", form).status_code == 302


@kind("list", "detail")
def save_through_the_api(target: Target) -> None:
    """The title with the book, and then its topics."""
    client = APIClient()
    client.force_authenticate(target.admin)
    changes = {"title": NEW_TITLE, "topics": []}
    assert client.patch(f"/books/{target.book.pk}/", changes, format="json").status_code == 200


@kind("list", "detail")
def loaddata(target: Target) -> None:
    [record] = json.loads(serializers.serialize("json", [target.book]))
    record["fields"]["title"] = NEW_TITLE
    with TemporaryDirectory() as folder:
        fixture = Path(folder) / "books.json"
        fixture.write_text(json.dumps([record]))
        call_command("loaddata", fixture, verbosity=0)
