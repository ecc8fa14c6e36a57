"""The command that empties the cache or a part of it."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from instruments.rows import make_book
from instruments.visitors import get, is_hit, status, warm
from library.models import Book
from readcache import flushing, rotated
from readcache.inspection import stored_entries
from readcache.storage.current import store

pytestmark = pytest.mark.django_db(transaction=True)


def flush(*names: str, **options: Any) -> str:
    output = StringIO()
    call_command("flush_read_cache", *names, stdout=output, **options)
    return output.getvalue()


def prefixes() -> list[str]:
    """The prefixes of all entries that are stored."""
    keys = (found.key.removeprefix(store().entry_key("")) for found in stored_entries())
    return sorted(key.partition(":")[0] for key in keys)


@pytest.fixture
def three_entries() -> None:
    """A list of books, the statistics of books, and a list of authors."""
    make_book()
    for url in ("/books/", "/books/statistics/", "/authors/"):
        warm(url)


@pytest.mark.usefixtures("three_entries")
def test_everything_is_removed_without_names(redis: Any) -> None:
    # An entry of a former release, which no declaration owns.
    redis.set(":rc1:entry:former_list:http://testserver/", b"not an entry")
    redis.set("somebody's", b"own")

    printed = flush(no_input=True)

    assert re.fullmatch(r"Removed 4 entries in \d+\.\d ms\. All were dead after \d+\.\d ms\.\n", printed)
    assert prefixes() == []
    assert redis.get("somebody's") == b"own"
    assert status(get("/books/")) == "fwd=uri-miss; stored"


@pytest.mark.usefixtures("three_entries")
def test_a_prefix_removes_the_entries_of_its_view() -> None:
    assert flush("book_list", no_input=True).startswith("Removed 1 entry in ")

    assert prefixes() == ["author_list", "book_statistics"]


@pytest.mark.usefixtures("three_entries")
def test_a_model_removes_the_entries_that_depend_on_it() -> None:
    assert flush("library.Topic", no_input=True).startswith("Removed 1 entry in ")
    assert prefixes() == ["author_list", "book_statistics"]
    assert is_hit(get("/authors/"))

    assert flush("library.author", no_input=True).startswith("Removed 2 entries in ")
    assert prefixes() == []


@pytest.mark.usefixtures("three_entries")
def test_names_add_up_and_no_entry_counts_twice() -> None:
    printed = flush("book_list", "author_list", "library.Topic", dry_run=True)

    assert printed == "Would remove 2 entries.\n"


@pytest.mark.usefixtures("three_entries")
def test_a_dry_run_changes_nothing() -> None:
    assert flush(dry_run=True) == "Would remove 3 entries.\n"

    assert is_hit(get("/books/"))
    assert len(prefixes()) == 3


@pytest.mark.usefixtures("three_entries")
def test_entries_are_dead_before_they_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, live = flushing.sweep, list[bool]()

    def look_and_sweep(selection: flushing.Selection) -> int:
        live.extend(found.is_live for found in stored_entries())
        return sweep(selection)

    monkeypatch.setattr(flushing, "sweep", look_and_sweep)
    flush(no_input=True)

    assert live == [False, False, False]


def test_an_entry_that_was_being_filled_is_dead_when_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    make_book()
    count = Book.objects.none().__class__.count

    def flushed_meanwhile(books: Any) -> int:
        found = count(books)
        flush(no_input=True)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(type(Book.objects.none()), "count", flushed_meanwhile)
        assert status(get("/books/")) == "fwd=uri-miss; stored"

    assert status(get("/books/")) == "fwd=stale; stored"


@pytest.mark.usefixtures("three_entries")
def test_the_receivers_of_rotated_are_told_which_tables() -> None:
    received = []

    def receive(tags: frozenset[str], **kwargs: Any) -> None:
        received.append(tags)

    rotated.connect(receive)
    try:
        flush("library.Topic", no_input=True)
    finally:
        rotated.disconnect(receive)

    assert received == [{"library_topic"}]


@pytest.mark.usefixtures("three_entries")
def test_without_a_terminal_to_ask_on_nothing_is_removed() -> None:
    with pytest.raises(CommandError, match=r"Remove 3 entries from the read cache\? .* Add --no-input"):
        flush()

    assert is_hit(get("/books/"))


@pytest.mark.usefixtures("three_entries")
@pytest.mark.parametrize(
    ("answer", "is_removed"), [("y", True), (" YES ", True), ("n", False), ("", False), (None, False)]
)
def test_only_a_yes_removes(answer: str | None, is_removed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(question: str) -> str:
        asked.append(question)
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("sys.stdin", StringIO())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", ask)
    if is_removed:
        flush("author_list")
    else:
        with pytest.raises(CommandError, match=r"^Nothing was changed\.$"):
            flush("author_list")

    assert asked == ["Remove 1 entry of author_list from the read cache? [y/N] "]
    assert ("author_list" in prefixes()) is not is_removed


@pytest.mark.usefixtures("three_entries")
@pytest.mark.parametrize("options", [{"dry_run": True}, {"no_input": True}])
def test_verbosity_zero_is_silent(options: dict[str, bool]) -> None:
    assert flush(verbosity=0, **options) == ""


@pytest.mark.parametrize("name", ["nope", "library.Nope", "nope.Book", "auth.User", "library.Book.title", ""])
def test_an_unknown_name_is_reported_with_the_known_ones(name: str) -> None:
    with pytest.raises(CommandError) as raised:
        flush(name, no_input=True)

    assert raised.value.returncode == 2
    assert str(raised.value).startswith(
        "NAME must be the prefix of a ReadCache or a model that one depends on, "
        f"got {name!r}. Known prefixes: author_list, book_detail, book_list, "
    )
