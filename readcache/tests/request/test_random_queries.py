"""Random queries: each answer with a cache is the answer without one."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import hypothesis
from django.http import QueryDict
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from instruments.keys import canonical
from instruments.visitors import is_hit, uncached
from library.models import Book

LIST = "/books/"
VALUES = """
1 2 3 0 -1 20 15 1000 trees emma austen shelley price -price title,price -copies,nonsense last 1,20 20,1
é % & a=b ٣ 1_0
"""
NAMES = """
page page_size ordering search author topic title__iexact title__icontains price price__lt price__gt
price__range utm title
"""
words = st.sampled_from([*VALUES.split(), "", " ", "\0", "9" * 25]) | st.text(max_size=6)
names = st.sampled_from([*NAMES.split(), ""]) | st.text(max_size=4)
queries = st.dictionaries(names, st.lists(words, min_size=1, max_size=3), max_size=4).map(
    lambda query: urlencode(query, doseq=True, errors="replace")
)


def served(response: Any) -> tuple[int, Any]:
    """Status and body, in which each link of a page is replaced by what ``link`` makes of it."""
    body = json.loads(response.content)
    if isinstance(body, dict) and "results" in body:
        body |= {name: link(body[name]) for name in ("next", "previous")}
    return response.status_code, body


def link(url: str | None) -> Any:
    """Host, path and canonical parameters of a link to a page."""
    if url is None:
        return None
    parts = urlsplit(url)
    return parts.netloc, parts.path.removeprefix("/uncached"), canonical(parts.query)


@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=queries, second=queries)
def test_queries_are_answered_as_without_a_cache_and_share_a_key_only_if_their_answers_are_equal(
    first: str, second: str, shelf: list[Book], redis: Any
) -> None:
    api = APIClient()
    truths = []
    # The writes that made the shelf left tokens that run out; those that a read makes stay.
    redis.flushdb()
    for query in (first, second):
        truth = served(api.get(uncached(f"{LIST}?{query}")))
        miss_or_hit, hit = api.get(f"{LIST}?{query}"), api.get(f"{LIST}?{query}")
        assert served(miss_or_hit) == truth
        assert hit.content == miss_or_hit.content
        assert hit.status_code == truth[0]
        assert is_hit(hit) == (truth[0] == 200)
        truths.append(truth)

    if canonical(first) == canonical(second):
        assert truths[0] == truths[1]


@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    soup=st.binary(max_size=40),
    start=st.sampled_from(
        [b"", b"page=", b"page_size=", b"search=", b"ordering=", b"price__range=", b"topic="]
    ),
)
def test_no_bytes_in_the_query_are_a_server_error(soup: bytes, start: bytes, shelf: list[Book]) -> None:
    api = APIClient()
    query = (start + soup).decode("latin-1")

    for path in (LIST, f"{LIST}{shelf[0].pk}/", f"{LIST}statistics/", "/authors/"):
        for _ in range(2):
            ours = api.get(path, QUERY_STRING=query)
            assert ours.status_code < 500
        theirs = api.get(uncached(path), QUERY_STRING=query)
        assert ours.status_code == theirs.status_code


def test_links_are_compared_by_their_canonical_parameters() -> None:
    assert link(None) is None
    assert link("http://h/uncached/books/?page=2&utm=1") == link("http://h/books/?page=2")
    assert link("http://h/books/?page=2") != link("http://h/books/?page=3")
    assert parse_qs(canonical("page=2&search=a%26b")) == {"page": ["2"], "search": ["a&b"]}
    assert QueryDict(canonical("search=a%26b"))["search"] == "a&b"
