from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured

from library.models import Author, Book, Topic
from readcache import declarations
from readcache.declarations import ReadCache, declared_tags

pytestmark = pytest.mark.usefixtures("temporary_declarations")


def declare(prefix: str = "shelf", **options: Any) -> ReadCache:
    return ReadCache(prefix, **{"depends_on": (Book,), "timeout": 60, **options})


@pytest.mark.parametrize("prefix", ["a", "book_list", "v1.books", "Shelf-2", "x" * 64])
def test_a_prefix_is_letters_digits_underscores_hyphens_and_dots(prefix: str) -> None:
    assert declare(prefix).prefix == prefix


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "x" * 65,
        "book list",
        "book:list",
        "books*",
        "books?",
        "[a]",
        "é",
        "a\n",
        "a/b",
        "#",
        "%",
    ],
)
def test_a_prefix_with_any_other_character_is_refused(prefix: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="prefix must be 1 to 64 letters") as refused:
        declare(prefix)
    assert repr(prefix) in str(refused.value)


@pytest.mark.parametrize("timeout", [0.001, 1, 60 * 15, 3.5e7])
def test_a_timeout_is_any_number_of_seconds_above_zero(timeout: float) -> None:
    assert declare(timeout=timeout).timeout_seconds == timeout


@pytest.mark.parametrize(
    "timeout", [0, 0.0, -1, -0.5, float("nan"), float("-inf"), float("inf"), 1e12, None, "60"]
)
def test_a_timeout_of_zero_or_without_end_is_refused(timeout: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="timeout must be more than 0 seconds") as refused:
        declare(timeout=timeout)
    assert str(timeout) in str(refused.value)


@pytest.mark.parametrize("nothing", [(), []])
def test_a_declaration_that_depends_on_nothing_is_refused(nothing: Sequence[Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="'shelf' must depend on at least one model"):
        declare(depends_on=nothing)


def test_a_declaration_that_depends_on_more_models_than_an_entry_can_count_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="at most 255, got 256"):
        declare(depends_on=[Book] * 256)


def test_a_refused_declaration_is_not_kept() -> None:
    before = declarations.declarations()

    for wrong in ({"prefix": "no good"}, {"timeout": 0}, {"depends_on": ()}):
        with pytest.raises(ImproperlyConfigured):
            declare(**wrong)

    assert declarations.declarations() == before


def test_the_tags_are_the_names_of_the_tables_sorted_and_without_repetition() -> None:
    read_cache = declare(depends_on=(Topic, Book, Book.topics.through, Author, Book))

    assert read_cache.tags == (
        "library_author",
        "library_book",
        "library_book_topics",
        "library_topic",
    )


def test_the_order_of_the_models_makes_no_difference() -> None:
    assert declare(depends_on=[Topic, Book]).tags == declare(depends_on=(Book, Topic)).tags


def test_a_declaration_may_name_the_parameters_that_the_view_reads() -> None:
    assert declare().parameters == ()
    assert declare(parameters=["currency", "unit"]).parameters == ("currency", "unit")


def test_every_declaration_is_known_and_its_tables_are_watched() -> None:
    assert "auth_group" not in declared_tags()

    read_cache = declare(depends_on=(Group,))

    assert declarations.declarations()[-1] is read_cache
    assert "auth_group" in declared_tags()


def test_each_view_is_declared_with_a_prefix_of_its_own() -> None:
    prefixes = [read_cache.prefix for read_cache in declarations.declarations()]

    assert {"book_list", "book_detail", "book_statistics", "author_list"} <= set(prefixes)
    assert len(set(prefixes)) == len(prefixes)
    assert declared_tags() >= {"library_book", "library_author", "library_topic", "library_book_topics"}
