from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict

from readcache.request.query import EVERY_PARAMETER, CanonicalQuery


def query_of(canonical: str, given: str) -> CanonicalQuery:
    return CanonicalQuery.made(canonical, QueryDict(given), {"page", "search"}.__contains__)


def test_what_the_key_counts_is_canonical_and_not_noted() -> None:
    query = query_of("page=2", "page=02&search=")

    assert (query["page"], query.get("page"), query.getlist("page")) == ("2", "2", ["2"])
    assert "search" not in query
    assert query.get("search", "none") == "none"
    assert query.getlist("search") == []
    assert query.unknown == set()


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda query: query["mine"], "b"),
        (lambda query: query.get("mine"), "b"),
        (lambda query: query.getlist("mine"), ["a", "b"]),
        (lambda query: "mine" in query, True),
        (lambda query: query.copy()["mine"], "b"),
    ],
)
def test_what_it_does_not_count_has_the_value_that_was_given_and_is_noted(
    ask: Callable[[Any], Any], answer: Any
) -> None:
    query = query_of("page=2", "page=2&mine=a&mine=b")

    assert ask(query) == answer
    assert query.unknown == {"mine"}


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda query: query.get("mine"), None),
        (lambda query: query.get("mine", "default"), "default"),
        (lambda query: query.getlist("mine"), []),
        (lambda query: "mine" in query, False),
    ],
)
def test_it_is_noted_where_it_was_not_given_too(ask: Callable[[Any], Any], answer: Any) -> None:
    query = query_of("", "")

    assert ask(query) == answer
    assert query.unknown == {"mine"}


@pytest.mark.parametrize(
    "ask",
    [
        list,
        lambda query: list(query.keys()),
        lambda query: list(query.values()),
        lambda query: list(query.items()),
        lambda query: list(query.lists()),
        lambda query: query.dict(),
        lambda query: query.urlencode(),
        json.dumps,
    ],
)
def test_who_asks_for_all_gets_what_was_given(ask: Callable[[Any], Any]) -> None:
    given = QueryDict("page=2&utm=1")
    query = query_of("page=2", "page=2&utm=1")

    assert ask(query) == ask(given)
    assert EVERY_PARAMETER in query.unknown


def test_a_copy_takes_defaults_and_reads_nothing_by_that() -> None:
    query = query_of("page=2", "page=2&utm=1")

    copied = query.copy()
    copied["search"] = "lamp"
    copied.setlist("own", ["1"])

    assert (copied["search"], copied["page"], copied["own"]) == ("lamp", "2", "1")
    assert query.unknown == set()
    assert "search" not in query
