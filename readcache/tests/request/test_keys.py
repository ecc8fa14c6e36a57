"""Keys: which requests share an entry, and that the view sees the request that its key names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from instruments.keys import stored_keys
from instruments.visitors import is_hit, uncached
from library.models import Book
from readcache.request.keys import KEPT_OF_LONG_KEY, LONGEST_KEY, Canonicaliser, canonicalise

LIST = "/books/"


# Keys


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (LIST, "book_list:http://testserver/books/"),
        (f"{LIST}?page=1&utm=2", "book_list:http://testserver/books/"),
        (f"{LIST}?page=2&ordering=price", "book_list:http://testserver/books/?ordering=price&page=2"),
        ("/books/statistics/", "book_statistics:http://testserver/books/statistics/"),
        ("/authors/", "author_list:http://testserver/authors/"),
        ("/authors/austen/", "author_list:http://testserver/authors/austen/"),
    ],
)
def test_a_key_is_readable(url: str, expected: str, shelf: list[Book], api: APIClient, redis: Any) -> None:
    assert api.get(url).status_code == 200

    assert [key.decode() for key in redis.keys("*:entry:*")] == [f":rc1:entry:{expected}"]


def key_of(prefix: str = "shelf", *, path: str = "/books/", query: str = "", **meta: Any) -> str:
    request = HttpRequest()
    request.META = {"HTTP_HOST": "testserver", **meta}
    request.path = path
    return Canonicaliser(prefix, {}).key(request, query)


def test_a_long_key_is_cut_and_ends_with_a_digest() -> None:
    longest = key_of(query="q=" + "a" * (LONGEST_KEY - len(key_of(query="q="))))
    too_long = key_of(query="q=" + "a" * (LONGEST_KEY - len(key_of(query="q=")) + 1))

    assert len(longest) == LONGEST_KEY
    assert "#" not in longest
    assert len(too_long) == KEPT_OF_LONG_KEY + 65
    assert too_long[:KEPT_OF_LONG_KEY] == longest[:KEPT_OF_LONG_KEY]
    assert too_long[KEPT_OF_LONG_KEY] == "#"


@given(st.lists(st.text(min_size=300, max_size=400), min_size=2, max_size=2, unique=True))
def test_long_keys_of_two_queries_are_different(values: list[str]) -> None:
    first, second = (key_of(query=urlencode({"q": value}, errors="replace")) for value in values)

    assert max(len(first), len(second)) <= LONGEST_KEY
    assert (first == second) == (
        urlencode({"q": values[0]}, errors="replace") == urlencode({"q": values[1]}, errors="replace")
    )


parts = st.text(st.characters(codec="utf-8"), max_size=12)


@given(
    inputs=st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z0-9_.-]{1,6}", fullmatch=True),
            st.sampled_from(["a.example", "a.example:80", "b.example"]),
            parts.map(lambda path: f"/{path}"),
            st.lists(st.tuples(parts, parts), max_size=2),
        ),
        min_size=2,
        max_size=2,
        unique_by=str,
    )
)
def test_different_requests_have_different_keys(
    inputs: list[tuple[str, str, str, list[tuple[str, str]]]],
) -> None:
    class Request(HttpRequest):
        def get_host(self) -> str:
            return str(self.META["HTTP_HOST"])

    def key(prefix: str, host: str, path: str, pairs: Iterable[tuple[str, str]]) -> str:
        request = Request()
        request.META, request.path = {"HTTP_HOST": host}, path
        return Canonicaliser(prefix, {}).key(request, urlencode(list(pairs)))

    first, second = (key(*each) for each in inputs)

    assert first != second
    assert first.isascii()
    assert first.isprintable()
    assert " " not in first


def test_each_host_and_scheme_has_an_entry_of_its_own(shelf: list[Book], api: APIClient, redis: Any) -> None:
    answers = {
        "http://testserver": api.get(LIST),
        "http://localhost": api.get(LIST, headers={"host": "localhost"}),
        "http://localhost:8000": api.get(LIST, headers={"host": "localhost:8000"}),
        "https://testserver": api.get(LIST, secure=True),
    }

    for origin, answer in answers.items():
        assert answer.json()["next"] == f"{origin}/books/?page=2"
    assert stored_keys(redis) == sorted(f"book_list:{origin}/books/" for origin in answers)


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "testserver?x", "", "a b"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_host_that_is_not_allowed_is_refused(
    host: str, accept: str, shelf: list[Book], api: APIClient, redis: Any
) -> None:
    api.get(LIST)

    assert api.get(LIST, headers={"host": host, "accept": accept}).status_code == 400

    assert len(stored_keys(redis)) == 1


# The view sees the canonical request


def test_links_do_not_contain_dropped_parameters(shelf: list[Book], api: APIClient) -> None:
    for url in (f"{LIST}?utm=1&page=1&ordering=nonsense", f"{LIST}?page_size=20&utm=2"):
        assert api.get(url).json()["next"] == "http://testserver/books/?page=2"


def test_unknown_parameters_change_no_byte_of_the_answer(shelf: list[Book], api: APIClient) -> None:
    plain = api.get(LIST)
    for query in ("utm=1&page=1", "page_size=20", "ordering=nonsense", "search=", "&&", "=", "utm"):
        assert api.get(f"{LIST}?{query}").content == plain.content


def test_requests_that_differ_in_unknown_parameters_share_an_entry(
    shelf: list[Book], api: APIClient, redis: Any
) -> None:
    for number in range(20):
        api.get(f"{LIST}?utm={number}&page=2")

    assert stored_keys(redis) == ["book_list:http://testserver/books/?page=2"]


def test_a_single_resource_has_one_entry_whatever_the_query(
    shelf: list[Book], api: APIClient, redis: Any
) -> None:
    url = f"{LIST}{shelf[0].pk}/"
    for query in ("", "?utm=1", "?page=2", "?search=x&ordering=price"):
        assert api.get(f"{url}{query}").json()["id"] == shelf[0].pk
        assert api.get(f"{LIST}statistics/{query}").status_code == 200

    assert stored_keys(redis) == [
        f"book_detail:http://testserver{url}",
        f"book_statistics:http://testserver{LIST}statistics/",
    ]


def test_html_and_json_share_an_entry(shelf: list[Book], api: APIClient, redis: Any) -> None:
    api.get(f"{LIST}?utm=1&page=02", headers={"accept": "text/html"})
    api.get(f"{LIST}?format=api&page=2")

    assert stored_keys(redis) == ["book_list:http://testserver/books/?page=2"]
    assert is_hit(api.get(f"{LIST}?page=2&utm=2"))


@pytest.mark.parametrize("query", ["page=0", "page=3", "page=-1", "page=nonsense", f"page={'9' * 40}"])
def test_a_page_that_does_not_exist_is_not_found_and_not_stored(
    query: str, shelf: list[Book], api: APIClient, redis: Any
) -> None:
    for _ in range(2):
        answer, truth = api.get(f"{LIST}?{query}"), api.get(uncached(f"{LIST}?{query}"))
        assert answer.status_code == truth.status_code == 404
        assert answer.json() == truth.json()

    assert stored_keys(redis) == []


@pytest.mark.parametrize("query", ["price=x", "author=nowhere", "topic=nothing", "price__range=1"])
def test_an_invalid_value_is_refused_and_not_stored(
    query: str, shelf: list[Book], api: APIClient, redis: Any
) -> None:
    for _ in range(2):
        assert api.get(f"{LIST}?{query}").status_code == 400

    assert stored_keys(redis) == []


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "cp037", "utf-7"])
def test_a_request_in_another_charset_does_not_fill_the_entry_of_another_query(
    charset: str, shelf: list[Book], api: APIClient
) -> None:
    query = urlencode({"search": "café"}, encoding="latin-1")
    for asked in (query, urlencode({"search": "café"})):
        api.generic("GET", f"{LIST}?{asked}", content_type=f"text/plain; charset={charset}")

    assert [row["title"] for row in api.get(f"{LIST}?search=café").json()["results"]] == ["Café society"]


def test_a_request_in_another_charset_is_understood(shelf: list[Book], api: APIClient) -> None:
    url = f"{LIST}?{urlencode({'search': 'café'}, encoding='latin-1')}"

    for _ in range(2):
        answer = api.generic("GET", url, content_type="text/plain; charset=latin-1")
        assert [row["title"] for row in answer.json()["results"]] == ["Café society"]


def test_the_canonical_request_has_the_canonical_query_in_its_url() -> None:
    request = RequestFactory().get("/?utm=1&page=2")
    canonicaliser = Canonicaliser("x", {"page": lambda values: values})

    canonicalise(request, canonicaliser.query(request), canonicaliser)

    assert request.get_full_path() == "/?page=2"
    assert request.build_absolute_uri() == "http://testserver/?page=2"
