"""The headers of every answer, by the RFCs that define them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from instruments.rows import make_book
from instruments.visitors import uncached
from library.models import Book
from readcache.serving import fills
from readcache.serving.responses import accepts_gzip, matches
from readcache.storage.current import store
from readcache.storage.entries import make_entry

PAGES = ["/books/", "/books/{pk}/", "/books/statistics/", "/authors/", "/authors/{slug}/"]
GZIP = {"accept-encoding": "gzip"}

# RFC 9110, section 8.8.3, without the weak form.
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')

# RFC 8941, section 3.1: a list of items with parameters.
_KEY = r"[a-z*][a-z0-9_.*-]*"
_NUMBER = r"-?\d{1,12}\.\d{1,3}|-?\d{1,15}"
_STRING = r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_TOKEN = r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"
_BARE = rf"(?:{_NUMBER}|{_STRING}|\?[01]|{_TOKEN})"
_ITEM = rf"{_BARE}(?:;[ ]*{_KEY}(?:={_BARE})?)*"
STRUCTURED_LIST = re.compile(rf"{_ITEM}(?:[ \t]*,[ \t]*{_ITEM})*")
PARAMETER = re.compile(rf";[ ]*({_KEY})(?:=({_BARE}))?")
FORWARD_REASONS = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}


def cache_status(response: Any) -> dict[str, Any]:
    """The parameters of the one member. Fails for anything that RFC 9211 does not allow."""
    value = response["Cache-Status"]
    assert STRUCTURED_LIST.fullmatch(value), value
    assert "," not in value
    name, _, rest = value.partition(";")
    assert name == settings.READ_CACHE_NAME
    found: dict[str, Any] = {}
    for key, bare in PARAMETER.findall(f";{rest}"):
        assert key not in found
        assert key in {"hit", "fwd", "fwd-status", "ttl", "stored", "collapsed", "key", "detail"}
        found[key] = int(bare) if re.fullmatch(r"-?\d+", bare) else bare or True
    # Section 2.1: one of the two, and not both.
    assert ("hit" in found) != ("fwd" in found)
    assert "fwd" not in found or found["fwd"] in FORWARD_REASONS
    assert not {"stored", "collapsed"} & set(found) or "fwd" in found
    return found


@pytest.fixture
def book(transactional_db: None, redis: Any) -> Book:
    book = make_book(summary="A matchmaker is mistaken. " * 20)
    # The write left tokens that run out; those that a read makes stay.
    redis.flushdb()
    return book


def url_of(page: str, book: Book) -> str:
    return page.format(pk=book.pk, slug=book.author.slug)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the clock of the engine to some milliseconds after the start of the test."""
    began_ms = fills.now_ms()

    def set_ahead(milliseconds: int) -> None:
        monkeypatch.setattr(fills, "now_ms", lambda: began_ms + milliseconds)

    set_ahead(0)
    return set_ahead


# Cache-Status


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        ("library; hit; ttl=899", True),
        ("library;hit;ttl=-4", True),
        ("library; fwd=uri-miss; stored, cdn; hit", True),
        ('library; fwd=miss; detail="a b"', True),
        ("library; fwd=", False),
        ("library; hit;", False),
        ("library hit", False),
        ("library; Hit", False),
        ("library; detail=a b", False),
        ("", False),
    ],
)
def test_the_grammar_of_these_tests_refuses_malformed_headers(value: str, is_valid: bool) -> None:
    assert bool(STRUCTURED_LIST.fullmatch(value)) is is_valid


@pytest.mark.parametrize("page", PAGES)
def test_a_miss_says_that_it_was_stored_and_a_hit_says_its_time_to_live(
    page: str, book: Book, api: APIClient, clock: Callable[[int], None]
) -> None:
    url = url_of(page, book)

    assert cache_status(api.get(url)) == {"fwd": "uri-miss", "stored": True}
    assert cache_status(api.get(url)) == {"hit": True, "ttl": 900}
    assert cache_status(api.head(url)) == {"hit": True, "ttl": 900}


def test_a_read_after_a_write_says_that_the_entry_was_stale(book: Book, api: APIClient) -> None:
    api.get("/books/")
    book.save()

    assert cache_status(api.get("/books/")) == {"fwd": "stale", "stored": True}


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_read_in_a_transaction_bypasses_the_cache(accept: str, book: Book, api: APIClient) -> None:
    headers = {"accept": accept}
    with transaction.atomic():
        unwritten = api.get("/books/", headers=headers)
        book.save()
        written = api.get("/books/", headers=headers)

    assert cache_status(unwritten) == {"fwd": "bypass", "detail": "transaction"}
    assert cache_status(written) == {"fwd": "bypass", "detail": "uncommitted-write"}


def test_a_read_during_an_outage_bypasses_the_cache(
    book: Book, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Undone before the database is emptied: otherwise rotations would be pending although Redis answers.
    with monkeypatch.context() as away:
        away.setattr(store().breaker, "is_open", True)
        answers = [api.get("/books/", headers=headers) for headers in ({}, GZIP, {"accept": "text/html"})]

    for answer in answers:
        assert cache_status(answer) == {"fwd": "bypass", "detail": "outage"}
        assert answer["Cache-Control"] == "no-cache"


def test_methods_other_than_get_and_head_are_forwarded(book: Book, admin_api: APIClient) -> None:
    url = f"/books/{book.pk}/"
    answers = [
        admin_api.options(url),
        admin_api.post("/books/", {}, format="json"),
        admin_api.patch(url, {"copies": 3}, format="json"),
        admin_api.put(url, {}, format="json"),
        admin_api.delete(url),
        APIClient().delete(url),
    ]

    assert [answer.status_code for answer in answers] == [200, 400, 200, 400, 204, 403]
    assert [cache_status(answer) for answer in answers] == [{"fwd": "method"}] * 6


@pytest.mark.parametrize(
    ("url", "status_code"),
    [("/books/?page=9", 404), ("/books/?price=x", 400), ("/books/999999/", 404)],
)
def test_an_error_is_forwarded_and_not_stored(
    url: str, status_code: int, book: Book, api: APIClient, redis: Any
) -> None:
    for headers in ({}, {"accept": "text/html"}):
        answer = api.get(url, headers=headers)
        assert answer.status_code == status_code
        assert cache_status(answer) == {"fwd": "uri-miss"}
        assert answer["Cache-Control"] == "no-cache"
        assert not answer.has_header("ETag")
    assert redis.keys("*:entry:*") == []


# Age and time to live


def test_age_and_time_to_live_are_whole_seconds(
    book: Book, api: APIClient, clock: Callable[[int], None]
) -> None:
    seen: list[Any] = [api.get("/books/")["Age"]]
    for milliseconds in (0, 999, 1_000, 61_500, 899_999):
        clock(milliseconds)
        answer = api.get("/books/")
        seen.append((answer["Age"], cache_status(answer)["ttl"]))

    assert seen == ["0", ("0", 900), ("0", 899), ("1", 899), ("61", 838), ("899", 0)]


def test_an_entry_from_the_future_has_age_zero(
    book: Book, api: APIClient, clock: Callable[[int], None]
) -> None:
    api.get("/books/")
    clock(-5_000)

    assert api.get("/books/")["Age"] == "0"


def test_redis_keeps_an_entry_for_its_time_to_live(book: Book, api: APIClient, redis: Any) -> None:
    api.get("/books/")
    [key] = redis.keys("*:entry:*")

    assert 890_000 < redis.pttl(key) <= 900_000


# The same headers in every answer


@pytest.mark.parametrize("headers", [{}, GZIP], ids=["identity", "gzip"])
@pytest.mark.parametrize("page", PAGES)
def test_a_hit_has_the_headers_of_a_miss(
    page: str, headers: dict[str, str], book: Book, api: APIClient, clock: Callable[[int], None]
) -> None:
    url = url_of(page, book)
    miss, hit = api.get(url, headers=headers), api.get(url, headers=headers)

    def without_status(response: Any) -> dict[str, str]:
        return {name: value for name, value in response.items() if name != "Cache-Status"}

    assert without_status(hit) == without_status(miss)
    assert hit.content == miss.content
    assert "GET" in hit["Allow"]
    assert "HEAD" in hit["Allow"]


@pytest.mark.parametrize("page", PAGES)
def test_an_answer_has_the_body_and_headers_of_the_uncached_one(
    page: str, book: Book, api: APIClient
) -> None:
    url = url_of(page, book)
    truth = api.get(uncached(url))

    for answer in (api.get(url), api.get(url)):
        assert answer.content == truth.content
        assert answer["Content-Type"] == truth["Content-Type"] == "application/json"
        assert answer["Allow"] == truth["Allow"]
        assert answer["Content-Length"] == truth["Content-Length"] == str(len(truth.content))
        assert answer["Cache-Control"] == "no-cache"
        assert not answer.has_header("Expires")
        assert not answer.has_header("Content-Encoding")


@pytest.mark.parametrize("headers", [{}, GZIP], ids=["identity", "gzip"])
@pytest.mark.parametrize("page", PAGES)
def test_head_has_the_headers_of_get_and_no_body(
    page: str, headers: dict[str, str], book: Book, api: APIClient, clock: Callable[[int], None]
) -> None:
    url = url_of(page, book)
    head_miss = api.head(url, headers=headers)
    get_hit, head_hit = api.get(url, headers=headers), api.head(url, headers=headers)

    assert dict(head_hit.items()) == dict(get_hit.items())
    assert head_miss.content == head_hit.content == b""
    assert cache_status(head_miss) == {"fwd": "uri-miss", "stored": True}
    assert head_miss["Content-Length"] == get_hit["Content-Length"] == str(len(get_hit.content))


def test_vary_is_the_same_in_every_answer(book: Book, api: APIClient, admin_api: APIClient) -> None:
    miss = api.get("/books/")
    answers = [
        miss,
        api.get("/books/"),
        api.head("/books/"),
        api.get("/books/", headers=GZIP),
        api.get("/books/", headers={"if-none-match": miss["ETag"]}),
        admin_api.get("/books/"),
        admin_api.get("/books/statistics/"),
        admin_api.get("/books/statistics/"),
    ]

    assert [answer["Vary"] for answer in answers] == ["Accept, Accept-Encoding"] * len(answers)


# ETag and If-None-Match


@pytest.mark.parametrize("page", PAGES)
def test_an_etag_is_strong_and_different_for_each_encoding(page: str, book: Book, api: APIClient) -> None:
    url = url_of(page, book)
    plain, again, zipped = api.get(url), api.get(url), api.get(url, headers=GZIP)

    assert STRONG_ETAG.fullmatch(plain["ETag"])
    assert STRONG_ETAG.fullmatch(zipped["ETag"])
    assert again["ETag"] == plain["ETag"]
    assert (zipped["ETag"] != plain["ETag"]) == zipped.has_header("Content-Encoding")


def test_an_etag_changes_with_the_body_and_only_with_it(book: Book, api: APIClient) -> None:
    first = api.get("/books/")["ETag"]
    Book.objects.filter(pk=book.pk).update(copies=book.copies)
    same = api.get("/books/")["ETag"]
    Book.objects.filter(pk=book.pk).update(copies=book.copies + 1)

    assert same == first
    assert api.get("/books/", headers={"if-none-match": first}).status_code == 200
    assert api.get("/books/")["ETag"] != first


CONDITIONS = [
    ("{etag}", True),
    ("W/{etag}", True),
    ("*", True),
    (" * ", True),
    ('"other", {etag}', True),
    ('"other",{etag},"third"', True),
    ('W/"other", W/{etag}', True),
    ('"a,b", {etag}', True),
    ('"other"', False),
    ('W/"other"', False),
    ("", False),
    ("garbage", False),
    ('"unfinished', False),
    (",,,", False),
    ('"*"', False),
    ("{unquoted}", False),
    ('"x{unquoted}"', False),
]


@pytest.mark.parametrize("way", ["hit", "gzip hit", "miss", "gzip miss"])
@pytest.mark.parametrize(("condition", "is_met"), CONDITIONS)
def test_a_copy_that_the_client_has_is_not_sent_again(
    condition: str,
    is_met: bool,
    way: str,
    book: Book,
    redis: Any,
) -> None:
    api, headers = APIClient(), GZIP if "gzip" in way else {}
    full = api.get("/books/", headers=headers)
    if "miss" in way:
        redis.flushdb()
    etag = full["ETag"]
    asked = {**headers, "if-none-match": condition.format(etag=etag, unquoted=etag.strip('"'))}

    answer = api.get("/books/", headers=asked)
    head = api.head("/books/", headers=asked)

    assert answer.status_code == head.status_code == (304 if is_met else 200)
    assert ("hit" in cache_status(answer)) == ("hit" in way)
    for name in ("Cache-Control", "ETag", "Vary"):
        assert answer[name] == head[name] == full[name]
    # RFC 9110, section 8.6: the length that a 200 would have, or none.
    assert answer["Content-Length"] == head["Content-Length"] == full["Content-Length"]
    assert answer.content == (b"" if is_met else full.content)
    assert answer.has_header("Content-Type") is not is_met
    assert answer.has_header("Content-Encoding") is (bool(headers) and not is_met)


def test_the_etag_of_another_encoding_does_not_match(book: Book, api: APIClient) -> None:
    plain, zipped = api.get("/books/"), api.get("/books/", headers=GZIP)

    assert api.get("/books/", headers={"if-none-match": zipped["ETag"]}).status_code == 200
    assert api.get("/books/", headers={**GZIP, "if-none-match": plain["ETag"]}).status_code == 200


@given(condition=st.text(max_size=40))
def test_any_condition_is_parsed_without_an_error(condition: str) -> None:
    assert isinstance(matches(condition, '"0123456789abcdef0123456789abcdef"'), bool)


# Accept-Encoding


@pytest.mark.parametrize(
    ("accept_encoding", "is_gzipped"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZip", True),
        ("x-gzip", True),
        ("*", True),
        ("*;q=0", False),
        ("*;q=0, gzip", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0", False),
        ("gzip ; Q=0.5 , identity", True),
        ("gzip;q=0.5, identity", True),
        ("identity", False),
        ("identity;q=0.5", False),
        ("br", False),
        ("br, zstd, deflate", False),
        ("deflate, gzip, br, zstd", True),
        ("gzip;q=high", False),
        ("gzip;q=nan", False),
        ("gzip;q=-1", False),
        ("gzipped", False),
        (";;;,,,q=1", False),
        ("\x00\xff", False),
    ],
)
def test_gzip_is_sent_to_clients_that_accept_it(
    accept_encoding: str | None, is_gzipped: bool, book: Book, api: APIClient
) -> None:
    headers = {} if accept_encoding is None else {"accept-encoding": accept_encoding}
    truth = api.get(uncached("/books/")).content

    for answer in (api.get("/books/", headers=headers), api.get("/books/", headers=headers)):
        assert answer.get("Content-Encoding") == ("gzip" if is_gzipped else None)
        assert (gzip.decompress(answer.content) if is_gzipped else answer.content) == truth
        assert answer["Content-Length"] == str(len(answer.content))


def test_a_body_that_gzip_does_not_make_shorter_is_sent_uncompressed(
    api: APIClient, transactional_db: None
) -> None:
    for answer in (api.get("/books/", headers=GZIP), api.get("/books/", headers=GZIP)):
        assert answer.content == api.get(uncached("/books/")).content
        assert not answer.has_header("Content-Encoding")
        assert answer["Vary"] == "Accept, Accept-Encoding"
    assert make_entry(answer.content, tokens=(), now_ms=0).compressed is False


@given(header=st.text(max_size=40) | st.from_regex(r"(gzip|\*|br)(;q=[0-9.]{0,5})?(, ?(gzip|\*)(;q=0)?)?"))
def test_any_accept_encoding_is_parsed_without_an_error(header: str) -> None:
    assert isinstance(accepts_gzip(header), bool)
