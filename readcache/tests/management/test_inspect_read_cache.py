"""The command that lists entries and shows the body of one."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from instruments.rows import make_author, make_book
from instruments.visitors import get
from library.models import Book
from readcache.inspection import stored_entry

pytestmark = pytest.mark.django_db(transaction=True)

BOOKS = "book_list:http://testserver/books/"
AUTHORS = "author_list:http://testserver/authors/"


def inspect(*arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command("inspect_read_cache", *arguments, stdout=output, **options)
    return output.getvalue()


def inspect_on_a_terminal(*, columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    output = StringIO()
    monkeypatch.setattr(output, "isatty", lambda: True, raising=False)
    call_command("inspect_read_cache", stdout=output)
    return output.getvalue().splitlines()


@pytest.fixture
def book() -> Book:
    """A book whose list was cached and is dead since; the list of topics' authors is live."""
    book = make_book(title="Old title", author=make_author("Jane"))
    get("/books/")
    Book.objects.update(title="New title")
    get("/authors/")
    return book


def test_an_empty_cache_is_reported_as_empty() -> None:
    assert inspect() == "The read cache is empty.\n"
    assert json.loads(inspect(format="json")) == []


@pytest.mark.usefixtures("book")
def test_the_table_tells_live_entries_from_dead_ones() -> None:
    heads, *lines = inspect().splitlines()
    rows = {line.split()[0]: line.split() for line in lines}

    assert heads.split() == ["key", "state", "age", "ttl", "stored", "inflated", "tables"]
    assert rows[f":rc1:entry:{BOOKS}"][1] == "dead"
    assert rows[f":rc1:entry:{AUTHORS}"][1] == "live"


@pytest.mark.usefixtures("book")
def test_the_columns_stand_under_their_heads() -> None:
    heads, *lines = inspect().splitlines()

    for line in lines:
        assert line[heads.index("state") :].startswith(("live  ", "dead  "))
        assert line[heads.index("tables") :].startswith("library_author, library_book")


@pytest.mark.usefixtures("book")
def test_a_wide_terminal_shows_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\n".join(inspect_on_a_terminal(columns=300, monkeypatch=monkeypatch)) + "\n" == inspect()


@pytest.mark.usefixtures("book")
def test_a_narrow_terminal_shows_each_key_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = inspect_on_a_terminal(columns=80, monkeypatch=monkeypatch)

    key = lines.index(f":rc1:entry:{BOOKS}")
    assert re.fullmatch(
        r"  dead, \d+ s old, \d+ s to live, [\d,]+ B stored, [\d,]+ B inflated", lines[key + 1]
    )
    assert lines[key + 2] == "  library_author, library_book, library_book_topics, library_topic"


@pytest.mark.usefixtures("book")
def test_json_has_sizes_times_and_tags(redis: Any) -> None:
    stored = stored_entry(BOOKS)
    assert stored is not None
    assert stored.entry is not None

    [found] = [each for each in json.loads(inspect(format="json")) if each["key"].endswith(BOOKS)]

    assert found["stored_bytes"] == len(redis.get(found["key"]))
    assert found["inflated_bytes"] == len(stored.entry.body)
    assert found["live"] is False
    assert 0 <= found["age_seconds"] < 60
    assert 0 < found["ttl_seconds"] <= 900
    assert found["tags"] == ["library_author", "library_book", "library_book_topics", "library_topic"]


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize("key", [BOOKS, f":rc1:entry:{BOOKS}"])
def test_a_key_shows_the_body_of_its_entry(key: str) -> None:
    assert json.loads(inspect(key))["results"][0]["title"] == "Old title"


def test_an_unknown_key_is_reported_in_one_line() -> None:
    with pytest.raises(CommandError, match="KEY must be the key of an entry, got 'nope'") as raised:
        inspect("nope")
    assert raised.value.returncode == 1


def test_a_foreign_value_is_listed_as_foreign_and_has_no_body(redis: Any) -> None:
    redis.set(f":rc1:entry:{BOOKS}", b"not an entry")

    assert " foreign " in inspect()
    with pytest.raises(CommandError, match="KEY must be the key of an entry"):
        inspect(BOOKS)


def test_an_entry_that_no_declaration_owns_is_listed_without_tables(redis: Any) -> None:
    redis.set(":rc1:entry:former_list:http://testserver/former/", b"not an entry")

    [found] = json.loads(inspect(format="json"))

    assert (found["live"], found["tags"]) == (False, [])


def test_a_wrong_format_is_refused_by_call_command_too() -> None:
    with pytest.raises(CommandError, match="--format must be one of table, json, got 'yaml'") as raised:
        inspect(format="yaml")
    assert raised.value.returncode == 2
