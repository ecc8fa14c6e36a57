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

from catalog.factories import ProductFactory, TagFactory
from catalog.models import Product
from catalog.serializers import ProductSerializer
from readcache.declarations import ReadCache
from readcache.serving import fills
from readcache.serving.fills import Undeclared
from readcache.serving.mixin import CachedReadMixin
from readcache.storage.entries import decode
from readcache.storage.store import HIT_FOR_MISS

HTML = {"accept": "text/html"}
INDENTED = {"accept": "application/json; indent=4"}
SAID_BY_NAME = {"Cache-Status", "Age"}


# Views of the tests' own


class PlainView(CachedReadMixin, APIView):
    """Answers what its ``say`` says."""

    permission_classes = [AllowAny]
    read_cache = ReadCache("tests_plain", depends_on=(Product,), timeout=60)
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


class FilteredByFields(CachedReadMixin, generics.ListAPIView[Product]):
    permission_classes = [AllowAny]
    read_cache = ReadCache("tests_fields", depends_on=(Product, Product.tags.through), timeout=60)
    queryset = Product.objects.order_by("pk")
    serializer_class = ProductSerializer
    filter_backends = [DjangoFilterBackend]
    filterset_fields = ["name"]

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        queryset = self.filter_queryset(self.get_queryset())
        return Response([product.name for product in queryset])


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
    path("", include("shop.urls")),
]

own_urls = pytest.mark.urls(__name__)


# People and pages


@pytest.fixture
def product(transactional_db: None, read_redis: Any) -> Product:
    """The first of five and twenty: there are two pages of them."""
    first, *_ = [ProductFactory.create(tags=[TagFactory.create(name="oak")]) for _ in range(25)]
    # The tokens that writing left behind run out; those that reading makes stay.
    read_redis.flushdb()
    return first


@pytest.fixture
def people(admin_user: User) -> dict[str, APIClient]:
    """Nobody has a name that is in the text of a page."""
    admin_user.username = "wilhelmina"
    admin_user.save()
    user = User.objects.create_user("theodora", password="a")
    clients = {"visitor": APIClient(), "user": APIClient(), "admin": APIClient()}
    clients["user"].force_login(user)
    clients["admin"].force_login(admin_user)
    return clients


def url_of(page: str, product: Product) -> str:
    return page.format(pk=product.pk, slug=product.category.slug)


def normal(response: Any) -> str:
    """A page without what names the time or the cache, and without the secrets of one request."""
    text: str = response.content.decode()
    text = re.sub(r'"csrfToken": "\w*"', "", text)
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w*"', "", text)
    return re.sub(r"<b>(Cache-Status|Age):</b> .*", "", text)


def headers_of(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.items() if name not in SAID_BY_NAME}


def locks_held(read_redis: Any) -> list[bytes]:
    keys = read_redis.keys("*:lock:*")
    return [key for key in keys if read_redis.get(key) != HIT_FOR_MISS]


def stored_values(read_redis: Any) -> list[bytes]:
    return [read_redis.get(key) for key in read_redis.scan_iter("*:entry:*")]


@contextmanager
def counted_commands(redis: Any) -> Iterator[Callable[[], dict[str, int]]]:
    """How often the server was sent each command since the block began."""

    def calls() -> dict[str, int]:
        stats = redis.info("commandstats")
        return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}

    before = calls()
    yield lambda: {
        name: count - before.get(name, 0)
        for name, count in calls().items()
        if count != before.get(name, 0) and name != "info"
    }


# One entry, every renderer

PAGES = ["/products/", "/products/?page=2", "/products/{pk}/", "/products/stats/", "/categories/{slug}/"]


@pytest.mark.parametrize("page", PAGES)
def test_everybody_sees_on_a_hit_what_they_see_on_a_miss(
    page: str, product: Product, people: dict[str, APIClient], read_redis: Any
) -> None:
    url = url_of(page, product)
    misses = {}
    for who, client in people.items():
        for headers in (HTML, {}, INDENTED):
            read_redis.flushdb()
            misses[who, str(headers)] = client.get(url, headers=headers)

    for order in permutations(["visitor", "user", "admin"]):
        read_redis.flushdb()
        for who in order:
            for headers in (HTML, {}, INDENTED):
                miss, hit = misses[who, str(headers)], people[who].get(url, headers=headers)
                assert "fwd=uri-miss; stored" in miss["Cache-Status"]
                assert ("hit" in hit["Cache-Status"]) == (who != order[0] or headers != HTML), order
                assert normal(hit) == normal(miss), order
                assert headers_of(hit).keys() == headers_of(miss).keys(), order
                assert hit["Vary"] == miss["Vary"], order
                assert hit["Allow"] == miss["Allow"], order
        assert len(stored_values(read_redis)) == 1, order


def test_the_pages_on_a_hit_show_whose_they_are(
    product: Product, people: dict[str, APIClient], api: APIClient
) -> None:
    url = f"/products/{product.pk}/"
    for each in ("/products/", url):
        api.get(each)
    lists = {who: client.get("/products/", headers=HTML) for who, client in people.items()}
    details = {who: client.get(url, headers=HTML) for who, client in people.items()}

    for page in (*lists.values(), *details.values()):
        assert "hit" in page["Cache-Status"]
    texts = {who: page.content.decode() for who, page in lists.items()}
    assert ["wilhelmina" in texts[who] for who in people] == [False, False, True]
    assert ["theodora" in texts[who] for who in people] == [False, True, False]
    assert ["Log in" in texts[who] for who in people] == [True, False, False]
    assert ['method="POST"' in texts[who] and "<textarea" in texts[who] for who in people] == [
        False,
        False,
        True,
    ]
    assert all('id="filtersModal"' in text and "?page=2" in text for text in texts.values())
    edited = {who: page.content.decode() for who, page in details.items()}
    prefilled = f'value="{product.name}"'
    assert [prefilled in edited[who] for who in people] == [False, False, True]
    assert [">DELETE<" in edited[who] or "deleteModal" in edited[who] for who in people] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("page", PAGES)
def test_the_html_page_is_the_uncached_one(page: str, product: Product, people: dict[str, APIClient]) -> None:
    url = url_of(page, product)
    for client in people.values():
        for _ in range(2):
            ours = client.get(url, headers=HTML)
            theirs = client.get(f"/uncached{url}", headers=HTML)
            counts = [
                (text.count("<form"), text.count("<input"), text.count("<option"), text.count("page-"))
                for text in (ours.content.decode(), theirs.content.decode())
            ]
            assert counts[0] == counts[1]


def test_json_with_an_indent_is_the_same_data_in_another_form(product: Product, api: APIClient) -> None:
    plain = api.get("/products/")
    indented = api.get("/products/", headers=INDENTED)

    assert indented.json() == plain.json()
    assert indented.content == json.dumps(plain.json(), indent=4, ensure_ascii=False).encode()
    assert "hit" in indented["Cache-Status"]
    assert not indented.has_header("ETag")


def test_the_format_can_be_asked_for_by_name(product: Product, api: APIClient) -> None:
    plain = api.get("/products/")

    browser = {"accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}
    assert api.get("/products/?format=json", headers=browser).content == plain.content
    assert api.get("/products/?format=api")["Content-Type"] == "text/html; charset=utf-8"
    assert api.get("/products/?format=xml").status_code == 404
    assert api.get("/products/", headers={"accept": "text/csv"}).status_code == 406


@own_urls
def test_the_format_in_a_path_is_the_same_on_hit_and_miss(product: Product, api: APIClient) -> None:
    miss, hit = api.get("/plain.api"), api.get("/plain.api")

    assert miss["Content-Type"] == hit["Content-Type"] == "text/html; charset=utf-8"
    assert api.get("/plain.json")["Content-Type"] == "application/json"


def test_a_body_is_rendered_once_on_a_miss_and_not_at_all_on_a_hit(
    product: Product, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str | None] = []
    render = JSONRenderer.render

    def counting(self: JSONRenderer, data: Any, media_type: str | None = None, *rest: Any) -> Any:
        rendered.append(media_type)
        return render(self, data, media_type, *rest)

    monkeypatch.setattr(JSONRenderer, "render", counting)

    api.get("/products/")
    assert rendered == ["application/json"]
    api.get("/products/")
    api.head("/products/")
    assert rendered == ["application/json"]


# What a hit costs


@pytest.mark.parametrize("who", ["visitor", "user", "admin"])
def test_a_hit_is_one_command_and_no_query_whoever_asks(
    who: str, product: Product, people: dict[str, APIClient], read_redis: Any
) -> None:
    people["visitor"].get("/products/")

    for method in ("get", "head"):
        with counted_commands(read_redis) as calls, CaptureQueriesContext(connection) as queries:
            answer = getattr(people[who], method)("/products/?utm=1")
        assert "hit" in answer["Cache-Status"]
        assert calls() == {"mget": 1}
        assert len(queries) == 0


# What is not stored


@pytest.mark.parametrize("headers", [{}, HTML], ids=["json", "html"])
def test_errors_are_never_stored(
    headers: dict[str, str], product: Product, api: APIClient, read_redis: Any
) -> None:
    answers = [
        api.get("/products/?price=x", headers=headers),
        api.get("/products/999999/", headers=headers),
        api.get("/categories/nowhere/", headers=headers),
        api.post("/categories/", headers=headers),
        api.post("/products/", headers=headers),
        api.trace("/products/", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [400, 404, 404, 405, 403, 403]
    assert stored_values(read_redis) == []
    assert locks_held(read_redis) == []


def test_writes_go_past_the_cache_to_the_view(
    product: Product, people: dict[str, APIClient], read_redis: Any
) -> None:
    admin, url = people["admin"], f"/products/{product.pk}/"
    form = {"name": "Kettle", "price": "3.00", "stock": 1, "category": product.category.slug}
    made = admin.post("/products/", form, format="json")
    changed = admin.patch(url, {"name": "Renamed"}, format="json")
    replaced = admin.put(url, form, format="json")
    answers = [made, changed, replaced, admin.options(url), admin.delete(url)]

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 204]
    assert {answer["Cache-Status"] for answer in answers} == {"shop; fwd=method"}
    assert stored_values(read_redis) == []
    assert admin.get(url).status_code == 404


@own_urls
@pytest.mark.parametrize(
    "url", ["/cookie/", "/private/", "/no-store/", "/created/", "/empty/", "/vary-cookie/", "/vary-language/"]
)
@pytest.mark.parametrize("headers", [{}, HTML], ids=["json", "html"])
def test_an_answer_that_is_not_for_everybody_is_served_and_not_stored(
    url: str, headers: dict[str, str], product: Product, api: APIClient, read_redis: Any
) -> None:
    before = PlainView.calls
    answers = [api.get(url, headers=headers), api.get(url, headers=headers)]

    assert PlainView.calls == before + 2
    assert stored_values(read_redis) == []
    assert locks_held(read_redis) == []
    for answer in answers:
        # The browsable page around an answer without content has content.
        assert answer.status_code == {"/created/": 201, "/empty/": 200 if headers else 204}.get(url, 200)
        assert answer["Cache-Status"] == "shop; fwd=uri-miss"
        assert ("visitor" in answer.cookies) == (url == "/cookie/")
        assert answer["Cache-Control"].lower() == {
            "/private/": "private",
            "/no-store/": "max-age=0, no-store",
        }.get(url, "no-cache")


@own_urls
def test_an_undeclared_table_is_an_error_in_tests(product: Product, api: APIClient, read_redis: Any) -> None:
    for url, named in (("/groups/", "auth_group"), ("/session/", "the session")):
        with pytest.raises(Undeclared, match=named):
            api.get(url)
    assert stored_values(read_redis) == []
    assert locks_held(read_redis) == []


@pytest.fixture
def lenient(
    product: Product,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> pytest.LogCaptureFixture:
    """As in production, with nothing warned of so far."""
    settings.READ_CACHE_STRICT = False
    monkeypatch.setattr(fills, "_warned", set())
    return caplog


@own_urls
@pytest.mark.parametrize(
    ("url", "detail", "named"),
    [("/groups/", "undeclared-table", "auth_group"), ("/session/", "session", "the session")],
)
def test_an_answer_from_what_is_not_declared_is_served_not_stored_and_warned_of_once(
    url: str,
    detail: str,
    named: str,
    lenient: pytest.LogCaptureFixture,
    read_redis: Any,
) -> None:
    before = PlainView.calls

    with lenient.at_level(logging.WARNING, logger="readcache"):
        answers = [APIClient().get(url) for _ in range(3)]

    assert {answer["Cache-Status"] for answer in answers} == {f"shop; fwd=uri-miss; detail={detail}"}
    assert {answer.status_code for answer in answers} == {200}
    assert PlainView.calls == before + 3
    assert stored_values(read_redis) == []
    assert locks_held(read_redis) == []
    assert [named in record.getMessage() for record in lenient.records] == [True]


# Who is seen


@own_urls
@pytest.mark.parametrize("headers", [{}, HTML], ids=["json", "html"])
def test_a_fill_sees_a_visitor_whoever_asks(
    headers: dict[str, str], product: Product, people: dict[str, APIClient], read_redis: Any
) -> None:
    seen = people["admin"].get("/who/", headers=headers)

    assert "fwd=uri-miss; stored" in seen["Cache-Status"]
    assert people["visitor"].get("/who/").json() == {
        "names": ["", ""],
        "authenticated": False,
        "auth": None,
    }
    # The page around the data is the admin's again.
    assert ("wilhelmina" in seen.content.decode()) == (headers == HTML)


def test_no_byte_of_a_user_is_stored(product: Product, people: dict[str, APIClient], read_redis: Any) -> None:
    for who in ("admin", "user", "visitor"):
        for page in PAGES:
            for headers in (HTML, {}, INDENTED):
                assert people[who].get(url_of(page, product), headers=headers).status_code == 200

    entries = [inflated(value) for value in stored_values(read_redis)]
    assert len(entries) == len(PAGES)
    everything = b"".join(entries) + b"".join(read_redis.keys("*"))
    for secret in (b"wilhelmina", b"theodora", b"csrf", b"sessionid", b"<html"):
        assert secret not in everything


def inflated(stored: bytes) -> bytes:
    """Everything that is stored for an entry, inflated."""
    entry = decode(stored)
    assert entry is not None
    return stored + entry.body


# Views


@own_urls
def test_a_view_can_be_served_without_a_cache_at_one_url(
    product: Product, api: APIClient, read_redis: Any
) -> None:
    before = PlainView.calls
    for _ in range(2):
        answer = api.get("/plain-uncached/")
        assert not {"Cache-Status", "ETag", "Age", "Cache-Control"} & set(answer.headers)

    assert PlainView.calls == before + 2
    assert stored_values(read_redis) == []
    with counted_commands(read_redis) as calls:
        api.get("/plain-uncached/")
    assert calls() == {}


@own_urls
def test_a_plain_get_handler_is_called_once(product: Product, api: APIClient, read_redis: Any) -> None:
    before = PlainView.calls

    assert [api.get("/plain/").json() for _ in range(3)] == [{"said": "hello"}] * 3
    assert PlainView.calls == before + 1
    assert len(stored_values(read_redis)) == 1


@own_urls
def test_filters_that_are_named_by_filterset_fields_count(product: Product, api: APIClient) -> None:
    everything = api.get("/fields/").json()

    for _ in range(2):
        assert api.get("/fields/", {"name": product.name}).json() == [product.name] != everything
