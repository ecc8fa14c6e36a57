"""The mixin: what each renderer, method and account is answered, and what is stored."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django_filters.rest_framework import DjangoFilterBackend
from pytest_django import Settings
from rest_framework import generics
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from instruments.rows import make_book, make_topic
from instruments.visitors import uncached
from library.models import Book
from library.serializers import BookSerializer
from readcache.declarations import ReadCache
from readcache.serving import undeclared
from readcache.serving.mixin import CachedReadMixin
from readcache.serving.undeclared import Undeclared
from readcache.storage import connections
from readcache.storage.entries import decode
from readcache.storage.scripts import HIT_FOR_MISS

HTML = {"accept": "text/html"}
INDENTED = {"accept": "application/json; indent=4"}
CHECKED_BY_NAME = {"Cache-Status", "Age"}


# Views for these tests


class PlainView(CachedReadMixin, APIView):
    """Answers with the result of its ``say``."""

    permission_classes = [AllowAny]
    read_cache = ReadCache("tests_plain", depends_on=(Book,), timeout=60)
    say: Callable[[Request], Response] = staticmethod(lambda request: Response({"said": "hello"}))
    calls = 0

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        PlainView.calls += 1
        return self.say(request)


def with_cookie(request: Request) -> Response:
    response = Response({"said": "cookie"})
    response.set_cookie("visitor", "7")
    return response


def with_header(name: str, value: str) -> Callable[[Request], Response]:
    return lambda request: Response({"said": value}, headers={name: value})


def who_asks(request: Request) -> Response:
    names = [request.user.get_username(), request._request.user.get_username()]
    return Response({"names": names, "authenticated": request.user.is_authenticated, "auth": request.auth})


def session_reader(request: Request) -> Response:
    return Response({"basket": request.session.get("basket", [])})


def group_reader(request: Request) -> Response:
    return Response({"groups": Group.objects.count()})


class FilteredByFields(CachedReadMixin, generics.ListAPIView[Book]):
    permission_classes = [AllowAny]
    read_cache = ReadCache("tests_fields", depends_on=(Book, Book.topics.through), timeout=60)
    queryset = Book.objects.order_by("pk")
    serializer_class = BookSerializer
    filter_backends = [DjangoFilterBackend]
    filterset_fields = ["title"]

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        queryset = self.filter_queryset(self.get_queryset())
        return Response([book.title for book in queryset])


def saying(say: Callable[[Request], Response], **options: Any) -> Any:
    return PlainView.as_view(say=staticmethod(say), **options)


urlpatterns = [
    path("plain/", PlainView.as_view()),
    path("plain.<str:format>", PlainView.as_view()),
    path("plain-uncached/", PlainView.as_view(read_cache=None)),
    path("cookie/", saying(with_cookie)),
    path("private/", saying(with_header("Cache-Control", "private"))),
    path("no-store/", saying(with_header("Cache-Control", "max-age=0, No-Store"))),
    path("vary-cookie/", saying(with_header("Vary", "Cookie"))),
    path("vary-language/", saying(with_header("Vary", "Accept-Language"))),
    path("created/", saying(lambda request: Response({"said": "new"}, status=201))),
    path("empty/", saying(lambda request: Response(status=204))),
    path("who/", saying(who_asks)),
    path("session/", saying(session_reader)),
    path("groups/", saying(group_reader)),
    path("fields/", FilteredByFields.as_view()),
    path("", include("library.urls")),
]

urls_of_this_module = pytest.mark.urls(__name__)


# Accounts and pages


@pytest.fixture
def book(transactional_db: None, redis: Any) -> Book:
    """The first of twenty-five: two pages."""
    first, *_ = [make_book(topics=[make_topic("trees")]) for _ in range(25)]
    # The writes left tokens that run out; those that a read makes stay.
    redis.flushdb()
    return first


@pytest.fixture
def accounts(admin_user: User) -> dict[str, APIClient]:
    """No account has a name that occurs in the text of a page."""
    admin_user.username = "wilhelmina"
    admin_user.save()
    user = User.objects.create_user("theodora", password="a")
    clients = {"visitor": APIClient(), "user": APIClient(), "admin": APIClient()}
    clients["user"].force_login(user)
    clients["admin"].force_login(admin_user)
    return clients


def url_of(page: str, book: Book) -> str:
    return page.format(pk=book.pk, slug=book.author.slug)


def normal(response: Any) -> str:
    """A page without the headers that depend on the cache, and without the secrets of one request."""
    text: str = response.content.decode()
    text = re.sub(r'"csrfToken": "\w*"', "", text)
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w*"', "", text)
    return re.sub(r"<b>(Cache-Status|Age):</b> .*", "", text)


def headers_of(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.items() if name not in CHECKED_BY_NAME}


def locks_held(redis: Any) -> list[bytes]:
    keys = redis.keys("*:lock:*")
    return [key for key in keys if redis.get(key) != HIT_FOR_MISS]


def stored_values(redis: Any) -> list[bytes]:
    return [redis.get(key) for key in redis.scan_iter("*:entry:*")]


@contextmanager
def counted_commands(redis: Any) -> Iterator[Callable[[], dict[str, int]]]:
    """How often the server has received each command since the block began.

    No connection is confirmed in the block, which adds two commands a second to a round trip.
    """

    def calls() -> dict[str, int]:
        stats = redis.info("commandstats")
        return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "CONFIRMED_FOR_SECONDS", 3_600)
        before = calls()
        yield lambda: {
            name: count - before.get(name, 0)
            for name, count in calls().items()
            if count != before.get(name, 0) and name != "info"
        }


# One entry, every renderer

PAGES = ["/books/", "/books/?page=2", "/books/{pk}/", "/books/statistics/", "/authors/{slug}/"]


@pytest.mark.parametrize("page", PAGES)
def test_every_account_sees_on_a_hit_what_it_sees_on_a_miss(
    page: str, book: Book, accounts: dict[str, APIClient], redis: Any
) -> None:
    url = url_of(page, book)
    misses = {}
    for who, client in accounts.items():
        for headers in (HTML, {}, INDENTED):
            redis.flushdb()
            misses[who, str(headers)] = client.get(url, headers=headers)

    for order in permutations(["visitor", "user", "admin"]):
        redis.flushdb()
        for who in order:
            for headers in (HTML, {}, INDENTED):
                miss, hit = misses[who, str(headers)], accounts[who].get(url, headers=headers)
                assert "fwd=uri-miss; stored" in miss["Cache-Status"]
                assert ("hit" in hit["Cache-Status"]) == (who != order[0] or headers != HTML), order
                assert normal(hit) == normal(miss), order
                assert headers_of(hit).keys() == headers_of(miss).keys(), order
                assert hit["Vary"] == miss["Vary"], order
                assert hit["Allow"] == miss["Allow"], order
        assert len(stored_values(redis)) == 1, order


def test_the_pages_of_a_hit_belong_to_the_account_that_asks(
    book: Book, accounts: dict[str, APIClient], api: APIClient
) -> None:
    url = f"/books/{book.pk}/"
    for each in ("/books/", url):
        api.get(each)
    lists = {who: client.get("/books/", headers=HTML) for who, client in accounts.items()}
    details = {who: client.get(url, headers=HTML) for who, client in accounts.items()}

    for page in (*lists.values(), *details.values()):
        assert "hit" in page["Cache-Status"]
    texts = {who: page.content.decode() for who, page in lists.items()}
    assert ["wilhelmina" in texts[who] for who in accounts] == [False, False, True]
    assert ["theodora" in texts[who] for who in accounts] == [False, True, False]
    assert ["Log in" in texts[who] for who in accounts] == [True, False, False]
    assert ['method="POST"' in texts[who] and "<textarea" in texts[who] for who in accounts] == [
        False,
        False,
        True,
    ]
    assert all('id="filtersModal"' in text and "?page=2" in text for text in texts.values())
    edited = {who: page.content.decode() for who, page in details.items()}
    prefilled = f'value="{book.title}"'
    assert [prefilled in edited[who] for who in accounts] == [False, False, True]
    assert [">DELETE<" in edited[who] or "deleteModal" in edited[who] for who in accounts] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("page", PAGES)
def test_an_html_page_has_the_controls_of_the_uncached_one(
    page: str, book: Book, accounts: dict[str, APIClient]
) -> None:
    url = url_of(page, book)
    for client in accounts.values():
        for _ in range(2):
            ours = client.get(url, headers=HTML)
            theirs = client.get(uncached(url), headers=HTML)
            counts = [
                (text.count("<form"), text.count("<input"), text.count("<option"), text.count("page-"))
                for text in (ours.content.decode(), theirs.content.decode())
            ]
            assert counts[0] == counts[1]


def test_indented_json_has_the_same_data(book: Book, api: APIClient) -> None:
    plain = api.get("/books/")
    indented = api.get("/books/", headers=INDENTED)

    assert indented.json() == plain.json()
    assert indented.content == json.dumps(plain.json(), indent=4, ensure_ascii=False).encode()
    assert "hit" in indented["Cache-Status"]
    assert not indented.has_header("ETag")


def test_the_format_can_be_chosen_by_a_parameter(book: Book, api: APIClient) -> None:
    plain = api.get("/books/")

    browser = {"accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}
    assert api.get("/books/?format=json", headers=browser).content == plain.content
    assert api.get("/books/?format=api")["Content-Type"] == "text/html; charset=utf-8"
    assert api.get("/books/?format=xml").status_code == 404
    assert api.get("/books/", headers={"accept": "text/csv"}).status_code == 406


@urls_of_this_module
def test_a_format_suffix_in_the_path_is_the_same_on_hit_and_miss(book: Book, api: APIClient) -> None:
    miss, hit = api.get("/plain.api"), api.get("/plain.api")

    assert miss["Content-Type"] == hit["Content-Type"] == "text/html; charset=utf-8"
    assert api.get("/plain.json")["Content-Type"] == "application/json"


def test_a_body_is_rendered_once_on_a_miss_and_not_at_all_on_a_hit(
    book: Book, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str | None] = []
    render = JSONRenderer.render

    def counting(self: JSONRenderer, data: Any, media_type: str | None = None, *rest: Any) -> Any:
        rendered.append(media_type)
        return render(self, data, media_type, *rest)

    monkeypatch.setattr(JSONRenderer, "render", counting)

    api.get("/books/")
    assert rendered == ["application/json"]
    api.get("/books/")
    api.head("/books/")
    assert rendered == ["application/json"]


# The cost of a hit


@pytest.mark.parametrize("who", ["visitor", "user", "admin"])
def test_a_hit_is_one_command_and_no_query_whoever_asks(
    who: str, book: Book, accounts: dict[str, APIClient], redis: Any
) -> None:
    accounts["visitor"].get("/books/")

    for method in ("get", "head"):
        with counted_commands(redis) as calls, CaptureQueriesContext(connection) as queries:
            answer = getattr(accounts[who], method)("/books/?utm=1")
        assert "hit" in answer["Cache-Status"]
        assert calls() == {"mget": 1}
        assert len(queries) == 0


# Answers that are not stored


@pytest.mark.parametrize("headers", [{}, HTML], ids=["json", "html"])
def test_errors_are_never_stored(headers: dict[str, str], book: Book, api: APIClient, redis: Any) -> None:
    answers = [
        api.get("/books/?price=x", headers=headers),
        api.get("/books/999999/", headers=headers),
        api.get("/authors/nowhere/", headers=headers),
        api.post("/authors/", headers=headers),
        api.post("/books/", headers=headers),
        api.trace("/books/", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [400, 404, 404, 405, 403, 403]
    assert stored_values(redis) == []
    assert locks_held(redis) == []


def test_writes_bypass_the_cache(book: Book, accounts: dict[str, APIClient], redis: Any) -> None:
    admin, url = accounts["admin"], f"/books/{book.pk}/"
    form = {"title": "Emma", "price": "3.00", "copies": 1, "author": book.author.slug}
    made = admin.post("/books/", form, format="json")
    changed = admin.patch(url, {"title": "Renamed"}, format="json")
    replaced = admin.put(url, form, format="json")
    answers = [made, changed, replaced, admin.options(url), admin.delete(url)]

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 204]
    assert {answer["Cache-Status"] for answer in answers} == {"library; fwd=method"}
    assert stored_values(redis) == []
    assert admin.get(url).status_code == 404


@urls_of_this_module
@pytest.mark.parametrize(
    "url", ["/cookie/", "/private/", "/no-store/", "/created/", "/empty/", "/vary-cookie/", "/vary-language/"]
)
@pytest.mark.parametrize("headers", [{}, HTML], ids=["json", "html"])
def test_an_answer_that_is_not_for_everyone_is_served_and_not_stored(
    url: str, headers: dict[str, str], book: Book, api: APIClient, redis: Any
) -> None:
    before = PlainView.calls
    answers = [api.get(url, headers=headers), api.get(url, headers=headers)]

    assert PlainView.calls == before + 2
    assert stored_values(redis) == []
    assert locks_held(redis) == []
    for answer in answers:
        # The browsable page around an empty answer has content.
        assert answer.status_code == {"/created/": 201, "/empty/": 200 if headers else 204}.get(url, 200)
        assert answer["Cache-Status"] == "library; fwd=uri-miss"
        assert ("visitor" in answer.cookies) == (url == "/cookie/")
        assert answer["Cache-Control"].lower() == {
            "/private/": "private",
            "/no-store/": "max-age=0, no-store",
        }.get(url, "no-cache")


@urls_of_this_module
def test_reading_an_undeclared_table_or_the_session_is_an_error_in_strict_mode(
    book: Book, api: APIClient, redis: Any
) -> None:
    for url, named in (("/groups/", "auth_group"), ("/session/", "the session")):
        with pytest.raises(Undeclared, match=named):
            api.get(url)
    assert stored_values(redis) == []
    assert locks_held(redis) == []


@pytest.fixture
def lenient(
    book: Book,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> pytest.LogCaptureFixture:
    """As in production, before the first warning."""
    settings.READ_CACHE_STRICT = False
    monkeypatch.setattr(undeclared, "_warned", set())
    return caplog


@urls_of_this_module
@pytest.mark.parametrize(
    ("url", "detail", "named"),
    [("/groups/", "undeclared-table", "auth_group"), ("/session/", "session", "the session")],
)
def test_an_answer_from_undeclared_data_is_served_not_stored_and_warned_of_once(
    url: str,
    detail: str,
    named: str,
    lenient: pytest.LogCaptureFixture,
    redis: Any,
) -> None:
    before = PlainView.calls

    with lenient.at_level(logging.WARNING, logger="readcache"):
        answers = [APIClient().get(url) for _ in range(3)]

    assert {answer["Cache-Status"] for answer in answers} == {f"library; fwd=uri-miss; detail={detail}"}
    assert {answer.status_code for answer in answers} == {200}
    assert PlainView.calls == before + 3
    assert stored_values(redis) == []
    assert locks_held(redis) == []
    assert [named in record.getMessage() for record in lenient.records] == [True]


# Accounts


@urls_of_this_module
@pytest.mark.parametrize("headers", [{}, HTML], ids=["json", "html"])
def test_a_fill_sees_an_anonymous_user_whoever_asks(
    headers: dict[str, str], book: Book, accounts: dict[str, APIClient], redis: Any
) -> None:
    seen = accounts["admin"].get("/who/", headers=headers)

    assert "fwd=uri-miss; stored" in seen["Cache-Status"]
    assert accounts["visitor"].get("/who/").json() == {
        "names": ["", ""],
        "authenticated": False,
        "auth": None,
    }
    # The page around the data shows the admin's name.
    assert ("wilhelmina" in seen.content.decode()) == (headers == HTML)


def test_no_byte_of_an_account_is_stored(book: Book, accounts: dict[str, APIClient], redis: Any) -> None:
    for who in ("admin", "user", "visitor"):
        for page in PAGES:
            for headers in (HTML, {}, INDENTED):
                assert accounts[who].get(url_of(page, book), headers=headers).status_code == 200

    entries = [inflated(value) for value in stored_values(redis)]
    assert len(entries) == len(PAGES)
    everything = b"".join(entries) + b"".join(redis.keys("*"))
    for secret in (b"wilhelmina", b"theodora", b"csrf", b"sessionid", b"<html"):
        assert secret not in everything


def inflated(stored: bytes) -> bytes:
    """Everything that is stored for an entry, inflated."""
    entry = decode(stored)
    assert entry is not None
    return stored + entry.body


# Views


@urls_of_this_module
def test_one_url_can_serve_a_view_without_its_cache(book: Book, api: APIClient, redis: Any) -> None:
    before = PlainView.calls
    for _ in range(2):
        answer = api.get("/plain-uncached/")
        assert not {"Cache-Status", "ETag", "Age", "Cache-Control"} & set(answer.headers)

    assert PlainView.calls == before + 2
    assert stored_values(redis) == []
    with counted_commands(redis) as calls:
        api.get("/plain-uncached/")
    assert calls() == {}


@urls_of_this_module
def test_a_plain_get_handler_is_called_once(book: Book, api: APIClient, redis: Any) -> None:
    before = PlainView.calls

    assert [api.get("/plain/").json() for _ in range(3)] == [{"said": "hello"}] * 3
    assert PlainView.calls == before + 1
    assert len(stored_values(redis)) == 1


@urls_of_this_module
def test_filters_named_by_filterset_fields_count(book: Book, api: APIClient) -> None:
    everything = api.get("/fields/").json()

    for _ in range(2):
        assert api.get("/fields/", {"title": book.title}).json() == [book.title] != everything
