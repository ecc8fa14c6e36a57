from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db

VARIANTS = ["", "/uncached", "/textbook"]


@pytest.fixture
def shelf() -> list[Product]:
    kitchen = CategoryFactory.create(name="Kitchen", slug="kitchen")
    garden = CategoryFactory.create(name="Garden", slug="garden")
    oak = TagFactory.create(name="oak")
    return [
        ProductFactory.create(
            name="Kettle", description="boils", price=Decimal(20), stock=5, category=kitchen
        ),
        ProductFactory.create(
            name="Oak bowl", description="turned", price=Decimal(35), stock=2, category=kitchen, tags=[oak]
        ),
        ProductFactory.create(
            name="Rake", description="oak handle", price=Decimal(20), stock=9, category=garden
        ),
        ProductFactory.create(name="Spade", description="digs", price=Decimal(15), stock=0, category=garden),
    ]


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()["results"]]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_list_shows_products_in_stock_ordered_by_primary_key(
    variant: str, shelf: list[Product], api: APIClient
) -> None:
    assert names(api.get(f"{variant}/products/")) == ["Kettle", "Oak bowl", "Rake"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name__iexact=kettle", ["Kettle"]),
        ("name__icontains=A", ["Oak bowl", "Rake"]),
        ("price=20", ["Kettle", "Rake"]),
        ("price__lt=20.01", ["Kettle", "Rake"]),
        ("price__gt=20", ["Oak bowl"]),
        ("price__range=15,20", ["Kettle", "Rake"]),
        ("category=garden", ["Rake"]),
        ("tag=oak", ["Oak bowl"]),
        ("search=oak", ["Oak bowl", "Rake"]),
        ("search=oak handle", ["Rake"]),
        ("ordering=price", ["Kettle", "Rake", "Oak bowl"]),
        ("ordering=-price", ["Oak bowl", "Rake", "Kettle"]),
        ("ordering=-name", ["Rake", "Oak bowl", "Kettle"]),
        ("ordering=stock", ["Oak bowl", "Kettle", "Rake"]),
        ("ordering=nonsense", ["Kettle", "Oak bowl", "Rake"]),
        ("ordering=name&page_size=1&page=2", ["Oak bowl"]),
        ("unknown=1", ["Kettle", "Oak bowl", "Rake"]),
    ],
)
def test_the_list_can_be_filtered_searched_ordered_and_paged(
    query: str, expected: list[str], shelf: list[Product], api: APIClient
) -> None:
    assert names(api.get(f"/uncached/products/?{query}")) == expected


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "query",
    ["price=abc", "price__lt=NaN", "price__range=1", "price__range=a,b", "category=nowhere", "tag=nothing"],
)
def test_an_invalid_filter_value_is_answered_with_400(variant: str, query: str, api: APIClient) -> None:
    response = api.get(f"{variant}/products/?{query}")

    assert response.status_code == 400
    assert query.partition("=")[0].removesuffix("__range") in str(response.json())


@pytest.mark.parametrize("page", ["2", "0", "-1", "x", "9" * 30])
def test_a_page_out_of_range_is_answered_with_404(page: str, shelf: list[Product], api: APIClient) -> None:
    assert api.get(f"/uncached/products/?page={page}").status_code == 404


@pytest.mark.parametrize(
    ("page_size", "shown"),
    [("", 20), ("?page_size=100", 100), ("?page_size=1000", 100), ("?page_size=x", 20)],
)
def test_a_page_has_20_products_and_at_most_100(page_size: str, shown: int, api: APIClient) -> None:
    ProductFactory.create_batch(101)

    assert len(api.get(f"/uncached/products/{page_size}").json()["results"]) == shown


def test_equal_prices_never_swap_between_pages(api: APIClient) -> None:
    made = ProductFactory.create_batch(30, price=Decimal("9.99"))

    for ordering, expected in (("price", made), ("-price", made[::-1])):
        seen = [
            row["id"]
            for page in (1, 2, 3)
            for row in api.get(f"/uncached/products/?ordering={ordering}&page_size=10&page={page}").json()[
                "results"
            ]
        ]
        assert seen == [product.pk for product in expected]


@pytest.mark.parametrize(
    "path",
    ["/uncached/products/?page_size={n}", "/uncached/categories/?page_size={n}", "/uncached/products/stats/"],
)
def test_the_number_of_queries_does_not_grow_with_the_page_size(path: str, api: APIClient) -> None:
    for _ in range(30):
        ProductFactory.create(tags=TagFactory.create_batch(2))

    counts = set()
    for size in (1, 5, 30):
        with CaptureQueriesContext(connection) as queries:
            assert api.get(path.format(n=size)).status_code == 200
        counts.add(len(queries))

    assert len(counts) == 1
    assert counts.pop() <= 3


def test_the_admin_list_does_not_query_for_each_product(admin_client: Client) -> None:
    counts = []
    for _ in range(2):
        ProductFactory.create_batch(10)
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get("/admin/catalog/product/").status_code == 200
        counts.append(len(queries))

    # The filter by category takes one query, however many categories there are.
    assert counts[0] == counts[1]


PRODUCT = {"name": "Colander", "price": "12.50", "stock": 4, "category": "kitchen", "tags": ["oak"]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_anonymous_client_can_read_but_not_write(
    variant: str, shelf: list[Product], api: APIClient
) -> None:
    detail = f"{variant}/products/{shelf[0].pk}/"

    assert api.get(detail).json()["name"] == "Kettle"
    assert api.post(f"{variant}/products/", PRODUCT, format="json").status_code == 403
    assert api.put(detail, PRODUCT, format="json").status_code == 403
    assert api.patch(detail, {"stock": 1}, format="json").status_code == 403
    assert api.delete(detail).status_code == 403
    assert Product.objects.count() == 4


def test_a_user_who_is_not_an_admin_cannot_write(
    shelf: list[Product], api: APIClient, django_user_model: type[User]
) -> None:
    api.force_login(django_user_model.objects.create_user("someone"))

    assert api.post("/products/", PRODUCT, format="json").status_code == 403


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_admin_can_create_change_and_delete(
    variant: str, shelf: list[Product], admin_api: APIClient
) -> None:
    created = admin_api.post(f"{variant}/products/", PRODUCT, format="json")
    assert created.status_code == 201
    assert created.json()["tags"] == ["oak"]

    detail = f"{variant}/products/{created.json()['id']}/"
    assert admin_api.patch(detail, {"stock": 1}, format="json").json()["stock"] == 1
    assert admin_api.put(detail, PRODUCT | {"name": "Sieve"}, format="json").json()["name"] == "Sieve"
    assert admin_api.delete(detail).status_code == 204
    assert admin_api.get(detail).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"price": "-1"},
        {"price": "1.999"},
        {"price": "NaN"},
        {"stock": -1},
        {"stock": 2**63 - 1},
        {"stock": 10**20},
        {"name": ""},
        {"name": "x" * 201},
        {"category": "nowhere"},
        {"tags": ["nothing"]},
    ],
)
def test_an_invalid_product_is_answered_with_400(
    change: dict[str, Any], shelf: list[Product], admin_api: APIClient
) -> None:
    response = admin_api.post("/products/", PRODUCT | change, format="json")

    assert response.status_code == 400
    assert set(response.json()) == set(change)


@pytest.mark.parametrize("variant", VARIANTS)
def test_statistics_include_sold_out_products(variant: str, shelf: list[Product], api: APIClient) -> None:
    statistics = api.get(f"{variant}/products/stats/").json()

    assert statistics["count"] == 4
    assert statistics["price_mean"] == "22.50"
    assert statistics["total_stock"] == 16
    assert [(row["category"], row["count"]) for row in statistics["categories"]] == [
        ("garden", 2),
        ("kitchen", 2),
    ]


def test_statistics_of_an_empty_catalogue_have_no_prices(api: APIClient) -> None:
    assert api.get("/uncached/products/stats/").json()["price_mean"] is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_categories_are_read_only_and_show_their_number_of_products(
    variant: str, shelf: list[Product], admin_api: APIClient
) -> None:
    listed = admin_api.get(f"{variant}/categories/").json()["results"]
    one = admin_api.get(f"{variant}/categories/kitchen/").json()

    assert [(row["slug"], row["product_count"]) for row in listed] == [("garden", 2), ("kitchen", 2)]
    assert one == listed[1]
    assert admin_api.post(f"{variant}/categories/", {}, format="json").status_code == 405
    assert admin_api.get(f"{variant}/categories/nowhere/").status_code == 404


def links_in(document: Any) -> Iterator[str]:
    for value in document.values():
        if isinstance(value, dict):
            yield from links_in(value)
        else:
            yield value


@pytest.mark.parametrize("root", ["/", "/uncached/", "/textbook/"])
def test_every_link_of_the_root_page_works(root: str, api: APIClient) -> None:
    links = list(links_in(api.get(root).json()))

    assert len(links) >= 3
    for link in links:
        assert api.get(link, follow=True).status_code == 200, link


@pytest.mark.parametrize("path", ["/", "/products/", "/uncached/products/stats/", "/textbook/categories/"])
def test_pages_are_browsable(path: str, shelf: list[Product], api: APIClient) -> None:
    response = api.get(path, headers={"accept": "text/html"})

    assert response.status_code == 200
    assert response["content-type"].startswith("text/html")
    page = response.content.decode()
    assert "/api-auth/login/" in page
    assert '<meta name="viewport" content="width=device-width' in page


def test_the_browsable_list_has_filters_and_a_form_for_admins(
    shelf: list[Product], admin_api: APIClient
) -> None:
    page = admin_api.get("/uncached/products/", headers={"accept": "text/html"}).content.decode()

    for field in ("name__icontains", "price__range", 'name="category"', 'name="tag"', "ordering=-price"):
        assert field in page
    assert 'method="POST"' in page


def test_a_request_waits_once_for_the_simulated_latency(
    shelf: list[Product], api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("catalog.views.time.sleep", waits.append)
    settings.SIMULATED_LATENCY_SECONDS = 2

    for path in ("/uncached/products/", "/uncached/products/stats/", "/uncached/categories/kitchen/"):
        api.get(path, headers={"accept": "text/html"})

    assert waits == [2, 2, 2]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.dictionaries(
        st.sampled_from(
            [
                *("name__iexact", "price", "price__lt", "price__range", "category", "tag"),
                *("search", "ordering", "page", "page_size"),
            ]
        ),
        st.text() | st.decimals().map(str) | st.integers().map(str),
    )
)
def test_no_query_string_causes_a_server_error(query: dict[str, str], api: APIClient) -> None:
    assert api.get("/uncached/products/", query).status_code in (200, 400, 404)
