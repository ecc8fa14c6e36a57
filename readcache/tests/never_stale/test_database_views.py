"""Models of database views: the tables beneath a view are what is read, and what is written through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.test import Client
from django.urls import path
from pytest_django import Settings
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instruments.transactions import execute
from library.models import Author, Book
from readcache import CachedReadMixin, ReadCache
from readcache.checks import check_database_views
from readcache.invalidation import database_views
from readcache.invalidation.statements import vocabulary

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("temporary_declarations")]
urlpatterns: list[Any] = []
CREATE = "CREATE VIEW library_summary AS SELECT id, title FROM library_book"
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="Only PostgreSQL has them.")


@pytest.fixture(params=[False, True], ids=["not managed", "managed"])
def summary(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The model of a view that is not there yet."""

    class Summary(models.Model):
        title = models.CharField(max_length=200)

        class Meta:
            app_label = "library"
            db_table = "library_summary"
            managed = request.param

        def __str__(self) -> str:
            return self.title

    yield Summary
    del apps.all_models["library"]["summary"]
    apps.clear_cache()


@pytest.fixture
def view(summary: Any) -> Iterator[Any]:
    execute(CREATE)
    yield summary
    execute("DROP VIEW library_summary")


@pytest.fixture(autouse=True)
def book() -> Book:
    author = Author.objects.create(name="Jane Austen", slug="jane-austen")
    return Book.objects.create(title="Old", price=1, copies=1, author=author)


@pytest.fixture
def serve(settings: Settings) -> Iterator[Any]:
    """Serves the first title of a model at ``/``, with these declared models."""
    settings.ROOT_URLCONF = __name__

    def add(model: Any, *depends_on: Any) -> None:
        class Titles(CachedReadMixin, APIView):
            permission_classes = [AllowAny]
            read_cache = ReadCache("titles", depends_on=depends_on, timeout=60)

            def get(self, request: Request) -> Response:
                return Response({"title": model.objects.get().title})

        urlpatterns.append(path("", Titles.as_view()))

    yield add
    urlpatterns.clear()


def ask() -> tuple[str, str]:
    response: Any = Client(headers={"Accept": "application/json"}).get("/")
    return response["Cache-Status"].partition("; ")[2], response.json()["title"]


def test_a_view_without_the_tables_beneath_it_is_not_stored(
    view: Any, serve: Any, settings: Settings
) -> None:
    settings.READ_CACHE_STRICT = False
    serve(view, view)

    assert ask() == ("fwd=uri-miss; detail=undeclared-table", "Old")
    Book.objects.update(title="New")
    assert ask()[1] == "New"


def test_a_view_with_the_tables_beneath_it_is_stored_and_fresh(view: Any, serve: Any) -> None:
    serve(view, view, Book)

    assert ask() == ("fwd=uri-miss; stored", "Old")
    assert ask()[0].startswith("hit")
    Book.objects.update(title="New")
    assert ask() == ("fwd=stale; stored", "New")


def test_a_view_of_a_view_is_a_view_of_the_tables_beneath_both(view: Any, serve: Any) -> None:
    execute("DROP VIEW library_summary")
    execute("CREATE VIEW nobodys_model AS SELECT * FROM library_book")
    execute("CREATE VIEW library_summary AS SELECT id, title FROM nobodys_model")
    serve(view, view, Book)

    assert ask() == ("fwd=uri-miss; stored", "Old")
    Book.objects.update(title="New")
    assert ask() == ("fwd=stale; stored", "New")

    execute("DROP VIEW library_summary")
    execute("DROP VIEW nobodys_model")
    execute(CREATE)


def test_a_write_through_a_view_is_a_write_of_the_tables_beneath_it(view: Any, serve: Any) -> None:
    if connection.vendor == "sqlite":
        execute(
            "CREATE TRIGGER write_beneath INSTEAD OF UPDATE ON library_summary BEGIN "
            "UPDATE library_book SET title = NEW.title WHERE id = NEW.id; END"
        )
    serve(Book, Book)
    ask()
    assert ask()[0].startswith("hit")

    view.objects.update(title="New")

    assert ask() == ("fwd=stale; stored", "New")


def test_a_view_that_is_defined_anew_has_other_tables_beneath(view: Any, serve: Any) -> None:
    serve(view, view, Book, Author)
    ask()
    execute("DROP VIEW library_summary")
    execute("CREATE VIEW library_summary AS SELECT id, name AS title FROM library_author")
    assert ask()[1] == "Jane Austen"

    known = database_views.views_of(connection)
    Author.objects.update(name="New")

    assert ask()[1] == "New"
    assert known is database_views.views_of(connection)


@on_postgresql
def test_a_view_that_cannot_be_looked_up_in_a_failed_transaction_is_looked_up_after_it(view: Any) -> None:
    table = frozenset({"library_summary"})
    with transaction.atomic():
        with pytest.raises(DatabaseError):
            execute("SELECT nobody_knows")
        database_views.forget(connection)
        assert database_views.views_of(connection).tables_beneath(table, vocabulary()) == set()
        transaction.set_rollback(True)

    assert database_views.views_of(connection).tables_beneath(table, vocabulary()) == {"library_book"}


@on_postgresql
def test_a_materialised_view_is_a_table_that_its_refresh_writes(summary: Any, serve: Any) -> None:
    execute("CREATE MATERIALIZED VIEW library_summary AS SELECT id, title FROM library_book")
    serve(summary, summary)

    assert ask() == ("fwd=uri-miss; stored", "Old")
    Book.objects.update(title="New")
    assert ask()[1] == "Old"
    execute("REFRESH MATERIALIZED VIEW library_summary")
    assert ask() == ("fwd=stale; stored", "New")

    execute("DROP MATERIALIZED VIEW library_summary")


# The system check


def test_the_check_names_the_tables_beneath_a_view(view: Any) -> None:
    ReadCache("titles", depends_on=[view], timeout=60)

    [message] = check_database_views(databases=["default"])

    assert message.id == "readcache.W003"
    assert "'titles' depends on Summary, which is a view" in message.msg
    assert message.msg.endswith(": library_book.")
    assert message.hint


def test_the_check_is_content_with_the_tables_beneath(view: Any) -> None:
    ReadCache("titles", depends_on=[view, Book], timeout=60)

    assert check_database_views(databases=["default"]) == []


def test_the_check_runs_with_the_databases_that_are_named(
    view: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ReadCache("titles", depends_on=[view], timeout=60)

    call_command("check")
    assert "readcache.W003" not in capsys.readouterr().err
    call_command("check", databases=["default"])
    assert "readcache.W003" in capsys.readouterr().err
