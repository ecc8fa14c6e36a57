from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import hypothesis
import pytest
from django.http import HttpRequest, QueryDict
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Product
from catalog.views import (
    CategoryViewSet,
    ProductDetailAPIView,
    ProductListCreateAPIView,
    ProductStatsAPIView,
)
from readcache.request.keys import KEPT_OF_LONG_KEY, LONGEST_KEY, Canonicaliser, canonicalise
from readcache.request.parameters import normalisers_for

LIST = "/products/"
ENTRIES = ":rc1:entry:"


@pytest.fixture
def shelf(transactional_db: None) -> list[Product]:
    """Five and twenty products: two pages of the default size."""
    kitchen = CategoryFactory.create(name="Kitchen", slug="kitchen")
    garden = CategoryFactory.create(name="Garden", slug="garden")
    oak = TagFactory.create(name="oak")
    made = [
        ProductFactory.create(
            name=f"Kettle {number}", description="boils", price=number, stock=30 - number, category=kitchen
        )
        for number in range(1, 23)
    ]
    return [
        *made,
        ProductFactory.create(name="Café table", description="a", price=40, stock=1, category=garden),
        ProductFactory.create(name="Oak & ash", price=15, stock=2, category=garden, tags=[oak]),
        ProductFactory.create(name="CafÃ© table", description="b", price=41, stock=1, category=garden),
    ]


def entries(read_redis: Any) -> list[str]:
    """What is stored, by the keys without what all of them begin with."""
    return sorted(key.decode().removeprefix(ENTRIES) for key in read_redis.keys(f"{ENTRIES}*"))


def canonical(query: str, view: type[Any] = ProductListCreateAPIView) -> str:
    instance = view()
    instance.action_map = None
    canonicaliser = Canonicaliser("x", normalisers_for(instance))
    return canonicaliser.query(RequestFactory().get("/", QUERY_STRING=query))


def uncached(url: str) -> str:
    return f"/uncached{url}"


def served(response: Any) -> tuple[int, Any]:
    """Status and body, with the links of a page reduced to what they say."""
    body = json.loads(response.content)
    if isinstance(body, dict) and "results" in body:
        body |= {name: link(body[name]) for name in ("next", "previous")}
    return response.status_code, body


def link(url: str | None) -> Any:
    """The parameters of a link that change the answer, in their canonical form."""
    if url is None:
        return None
    parts = urlsplit(url)
    return parts.netloc, parts.path.removeprefix("/uncached"), canonical(parts.query)


# Canonical requests


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ""),
        ("page=1", ""),
        ("page=01", ""),
        ("page=%2B1", ""),
        ("page=2", "page=2"),
        ("page=02", "page=2"),
        ("page=+2+", "page=2"),
        ("page=%EF%BC%92", "page=2"),
        ("page=last", "page=last"),
        ("page=0", "page=0"),
        ("page=-1", "page=-1"),
        ("page=nonsense", "page=nonsense"),
        ("page=1.0", "page=1.0"),
        ("page_size=20", ""),
        ("page_size=020", ""),
        ("page_size=5", "page_size=5"),
        ("page_size=05", "page_size=5"),
        ("page_size=100", "page_size=100"),
        ("page_size=1000", "page_size=100"),
        (f"page_size={'9' * 30}", "page_size=100"),
        (f"page_size={'0' * 30}25", "page_size=25"),
        (f"page_size={'1' * 5000}", ""),
        ("page_size=0", ""),
        ("page_size=-5", ""),
        ("page_size=many", ""),
        ("page_size=", ""),
        ("ordering=price", "ordering=price"),
        ("ordering=-price,name", "ordering=-price%2Cname"),
        ("ordering=+price+,+name", "ordering=price%2Cname"),
        ("ordering=nonsense,price,--name,pk", "ordering=price"),
        ("ordering=nonsense", ""),
        ("ordering=", ""),
        ("ordering=,", ""),
        ("search=oak", "search=oak"),
        ("search=", ""),
        ("name__icontains=", ""),
        ("name__icontains=a%26b%3Dc", "name__icontains=a%26b%3Dc"),
        ("price__range=1,2", "price__range=1%2C2"),
        ("utm=1", ""),
        ("format=json", ""),
        ("Page=2", ""),
        ("name=Kettle", ""),
        ("category__slug=garden", ""),
        ("utm=1&page=2&junk=page%3D3", "page=2"),
        ("page=3&page=2", "page=2"),
        ("page=2&page=1", ""),
        ("search=a&search=b", "search=b"),
        ("search=a&search=", ""),
        ("category=a&category=b", "category=b"),
    ],
)
def test_only_what_the_product_list_understands_counts(query: str, expected: str) -> None:
    assert canonical(query) == expected


def test_the_order_of_parameters_makes_no_difference() -> None:
    pairs = [
        ("page", "2"),
        ("ordering", "price"),
        ("search", "oak"),
        ("tag", "oak"),
        ("page_size", "5"),
    ]
    expected = "ordering=price&page=2&page_size=5&search=oak&tag=oak"

    for turn in range(len(pairs)):
        assert canonical(urlencode(pairs[turn:] + pairs[:turn])) == expected


@pytest.mark.parametrize("view", [ProductDetailAPIView, ProductStatsAPIView])
def test_what_is_no_list_takes_no_parameters(view: type[Any]) -> None:
    assert canonical("page=2&page_size=5&search=oak&ordering=price&category=garden&utm=1", view) == ""


def test_a_viewset_takes_the_parameters_of_its_action() -> None:
    view: Any = CategoryViewSet()
    found = {}
    for action in ("list", "retrieve"):
        view.action_map = {"get": action}
        found[action] = set(normalisers_for(view))

    assert found == {"list": {"page", "page_size"}, "retrieve": set()}


def test_a_view_may_name_parameters_of_its_own() -> None:
    canonicaliser = Canonicaliser("x", normalisers_for(ProductStatsAPIView(), ["unit", "currency"]))
    request = RequestFactory().get("/?unit=b&unit=a&utm=1&currency=")

    assert canonicaliser.query(request) == "currency=&unit=b&unit=a"


@given(
    st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=8), min_size=1, max_size=3), max_size=4)
)
def test_a_canonical_query_is_its_own_canonical_query(query: dict[str, list[str]]) -> None:
    once = canonical(urlencode(query, doseq=True, errors="replace"))

    assert canonical(once) == once


# The view sees the canonical request


def test_what_was_dropped_does_not_echo_in_a_link(shelf: list[Product], api: APIClient) -> None:
    for url in (f"{LIST}?utm=1&page=1&ordering=nonsense", f"{LIST}?page_size=20&utm=2"):
        assert api.get(url).json()["next"] == "http://testserver/products/?page=2"


def test_a_junk_parameter_makes_no_difference_to_a_byte(shelf: list[Product], api: APIClient) -> None:
    plain = api.get(LIST)
    for query in ("utm=1&page=1", "page_size=20", "ordering=nonsense", "search=", "&&", "=", "utm"):
        assert api.get(f"{LIST}?{query}").content == plain.content


def test_a_hit_is_served_for_junk_whoever_filled_it(
    shelf: list[Product], api: APIClient, read_redis: Any
) -> None:
    for number in range(20):
        api.get(f"{LIST}?utm={number}&page=2")

    assert entries(read_redis) == ["product_list:http://testserver/products/?page=2"]


def test_junk_makes_no_entry_of_its_own_for_a_single_product(
    shelf: list[Product], api: APIClient, read_redis: Any
) -> None:
    url = f"{LIST}{shelf[0].pk}/"
    for query in ("", "?utm=1", "?page=2", "?search=x&ordering=price"):
        assert api.get(f"{url}{query}").json()["id"] == shelf[0].pk
        assert api.get(f"{LIST}stats/{query}").status_code == 200

    assert entries(read_redis) == [
        f"product_detail:http://testserver{url}",
        f"product_stats:http://testserver{LIST}stats/",
    ]


def test_an_html_page_fills_the_entry_that_json_is_served_from(
    shelf: list[Product], api: APIClient, read_redis: Any
) -> None:
    api.get(f"{LIST}?utm=1&page=02", headers={"accept": "text/html"})
    api.get(f"{LIST}?format=api&page=2")

    assert entries(read_redis) == ["product_list:http://testserver/products/?page=2"]
    assert "hit" in api.get(f"{LIST}?page=2&utm=2")["Cache-Status"]


@pytest.mark.parametrize("query", ["page=0", "page=3", "page=-1", "page=nonsense", f"page={'9' * 40}"])
def test_a_page_that_is_not_there_is_not_found_and_not_stored(
    query: str, shelf: list[Product], api: APIClient, read_redis: Any
) -> None:
    for _ in range(2):
        assert served(api.get(f"{LIST}?{query}")) == served(api.get(uncached(f"{LIST}?{query}")))
        assert api.get(f"{LIST}?{query}").status_code == 404

    assert entries(read_redis) == []


@pytest.mark.parametrize("query", ["price=x", "category=nowhere", "tag=nothing", "price__range=1"])
def test_a_value_that_is_not_valid_is_refused_and_not_stored(
    query: str, shelf: list[Product], api: APIClient, read_redis: Any
) -> None:
    for _ in range(2):
        assert api.get(f"{LIST}?{query}").status_code == 400

    assert entries(read_redis) == []


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "cp037", "utf-7"])
def test_a_request_in_another_charset_cannot_store_its_answer_under_the_key_of_another(
    charset: str, shelf: list[Product], api: APIClient
) -> None:
    query = urlencode({"search": "café"}, encoding="latin-1")
    for asked in (query, urlencode({"search": "café"})):
        api.generic("GET", f"{LIST}?{asked}", content_type=f"text/plain; charset={charset}")

    assert [row["name"] for row in api.get(f"{LIST}?search=café").json()["results"]] == ["Café table"]


def test_a_request_in_another_charset_is_understood(shelf: list[Product], api: APIClient) -> None:
    url = f"{LIST}?{urlencode({'search': 'café'}, encoding='latin-1')}"

    for _ in range(2):
        answer = api.generic("GET", url, content_type="text/plain; charset=latin-1")
        assert [row["name"] for row in answer.json()["results"]] == ["Café table"]


def test_what_is_dropped_echoes_in_no_link() -> None:
    request = RequestFactory().get("/?utm=1&page=2")
    canonicaliser = Canonicaliser("x", {"page": lambda values: values})

    canonicalise(request, canonicaliser.query(request), canonicaliser)

    assert request.get_full_path() == "/?page=2"
    assert request.build_absolute_uri() == "http://testserver/?page=2"


# Keys


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (LIST, "product_list:http://testserver/products/"),
        (f"{LIST}?page=1&utm=2", "product_list:http://testserver/products/"),
        (f"{LIST}?page=2&ordering=price", "product_list:http://testserver/products/?ordering=price&page=2"),
        ("/products/stats/", "product_stats:http://testserver/products/stats/"),
        ("/categories/", "category_list:http://testserver/categories/"),
        ("/categories/garden/", "category_list:http://testserver/categories/garden/"),
    ],
)
def test_a_key_can_be_read(
    url: str, expected: str, shelf: list[Product], api: APIClient, read_redis: Any
) -> None:
    assert api.get(url).status_code == 200

    assert [key.decode() for key in read_redis.keys("*:entry:*")] == [f":rc1:entry:{expected}"]


def key_of(prefix: str = "shelf", *, path: str = "/products/", query: str = "", **meta: Any) -> str:
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
def test_long_keys_of_two_queries_never_meet(values: list[str]) -> None:
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
def test_two_different_requests_never_share_a_key(
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


def test_hosts_and_schemes_have_entries_of_their_own(
    shelf: list[Product], api: APIClient, read_redis: Any
) -> None:
    answers = {
        "http://testserver": api.get(LIST),
        "http://localhost": api.get(LIST, headers={"host": "localhost"}),
        "http://localhost:8000": api.get(LIST, headers={"host": "localhost:8000"}),
        "https://testserver": api.get(LIST, secure=True),
    }

    for origin, answer in answers.items():
        assert answer.json()["next"] == f"{origin}/products/?page=2"
    assert entries(read_redis) == sorted(f"product_list:{origin}/products/" for origin in answers)


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "testserver?x", "", "a b"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_host_that_is_not_the_shops_is_refused(
    host: str, accept: str, shelf: list[Product], api: APIClient, read_redis: Any
) -> None:
    api.get(LIST)

    assert api.get(LIST, headers={"host": host, "accept": accept}).status_code == 400

    assert len(entries(read_redis)) == 1


# Fuzz

VALUES = """
1 2 3 0 -1 20 15 1000 oak kettle garden kitchen price -price name,price -stock,nonsense last 1,20 20,1
é % & a=b ٣ 1_0
"""
NAMES = """
page page_size ordering search category tag name__iexact name__icontains price price__lt price__gt
price__range utm name
"""
words = st.sampled_from([*VALUES.split(), "", " ", "\0", "9" * 25]) | st.text(max_size=6)
names = st.sampled_from([*NAMES.split(), ""]) | st.text(max_size=4)
queries = st.dictionaries(names, st.lists(words, min_size=1, max_size=3), max_size=4).map(
    lambda query: urlencode(query, doseq=True, errors="replace")
)


@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=queries, second=queries)
def test_every_query_is_answered_as_without_a_cache_and_shares_a_key_only_with_its_equals(
    first: str, second: str, shelf: list[Product], read_redis: Any
) -> None:
    api = APIClient()
    truths = []
    # The tokens that the shelf's making left behind run out meanwhile; those that a read makes stay.
    read_redis.flushdb()
    for query in (first, second):
        truth = served(api.get(uncached(f"{LIST}?{query}")))
        miss_or_hit, hit = api.get(f"{LIST}?{query}"), api.get(f"{LIST}?{query}")
        assert served(miss_or_hit) == truth
        assert hit.content == miss_or_hit.content
        assert hit.status_code == truth[0]
        assert ("hit" in hit["Cache-Status"]) == (truth[0] == 200)
        truths.append(truth)

    if canonical(first) == canonical(second):
        assert truths[0] == truths[1]


@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    soup=st.binary(max_size=40),
    start=st.sampled_from(
        [b"", b"page=", b"page_size=", b"search=", b"ordering=", b"price__range=", b"tag="]
    ),
)
def test_no_bytes_in_the_query_are_an_error_of_the_servers(
    soup: bytes, start: bytes, shelf: list[Product]
) -> None:
    api = APIClient()
    query = (start + soup).decode("latin-1")

    for path in (LIST, f"{LIST}{shelf[0].pk}/", f"{LIST}stats/", "/categories/"):
        for _ in range(2):
            ours = api.get(path, QUERY_STRING=query)
            assert ours.status_code < 500
        theirs = api.get(uncached(path), QUERY_STRING=query)
        assert ours.status_code == theirs.status_code


def test_the_fuzz_compares_links_by_what_they_say() -> None:
    assert link(None) is None
    assert link("http://h/uncached/products/?page=2&utm=1") == link("http://h/products/?page=2")
    assert link("http://h/products/?page=2") != link("http://h/products/?page=3")
    assert parse_qs(canonical("page=2&search=a%26b")) == {"page": ["2"], "search": ["a&b"]}
    assert QueryDict(canonical("search=a%26b"))["search"] == "a&b"
