"""The query that a view sees while an entry is filled."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict

from readcache.request.query import EVERY_PARAMETER, CanonicalQuery


def query_of(canonical: str, given: str) -> CanonicalQuery:
    return CanonicalQuery.made(canonical, QueryDict(given), {"page", "search"}.__contains__)


def test_a_parameter_that_the_key_counts_is_canonical_and_not_recorded() -> None:
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
def test_a_parameter_that_the_key_does_not_count_has_the_given_value_and_is_recorded(
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
def test_a_parameter_that_was_not_given_is_recorded_too(ask: Callable[[Any], Any], answer: Any) -> None:
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
def test_asking_for_all_parameters_returns_the_given_ones_and_is_recorded(ask: Callable[[Any], Any]) -> None:
    given = QueryDict("page=2&utm=1")
    query = query_of("page=2", "page=2&utm=1")

    assert ask(query) == ask(given)
    assert EVERY_PARAMETER in query.unknown


def test_a_copy_takes_defaults_and_records_nothing() -> None:
    query = query_of("page=2", "page=2&utm=1")

    copied = query.copy()
    copied["search"] = "lamp"
    copied.setlist("own", ["1"])

    assert (copied["search"], copied["page"], copied["own"]) == ("lamp", "2", "1")
    assert query.unknown == set()
    assert "search" not in query
