"""Readers and writers that overlap, with the textbook's cache and with the read cache.

The same case leaves the textbook stale and the read cache fresh. The engine's own races, with killed
writers and lost tokens, are in ``readcache/tests``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.forms import model_to_dict
from django.test import Client
from rest_framework.test import APIClient

from catalog import signals
from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Product, Tag
from catalog.tests.threads import in_another_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["/products/", "/textbook/products/"], ids=["read cache", "textbook"])
def products(request: pytest.FixtureRequest) -> str:
    """The list as each of the two serves it, without the invalidation of the other."""
    if is_textbook(request.param):
        signals.connect()
    return str(request.param)


@pytest.fixture
def product() -> Product:
    return ProductFactory.create(
        name="Old",
        category=CategoryFactory.create(name="Kitchen"),
        tags=[TagFactory.create(name="old")],
    )


def read(url: str) -> Any:
    response = APIClient().get(url)
    assert response.status_code == 200, response.content
    return response.json()


def name_in(url: str) -> str:
    return str(read(url)["results"][0]["name"])


def is_textbook(url: str) -> bool:
    return url.startswith("/textbook/")


def rename(product: Product, name: str = "New") -> None:
    product.name = name
    product.save()


def test_a_reader_between_a_save_and_its_commit_leaves_only_the_textbook_stale(
    products: str, product: Product
) -> None:
    read(products)

    with transaction.atomic():
        rename(product)
        assert in_another_thread(lambda: name_in(products)) == "Old"

    assert name_in("/uncached/products/") == "New"
    assert name_in(products) == ("Old" if is_textbook(products) else "New")


def test_a_reader_while_the_admin_saves_leaves_only_the_textbook_stale(
    products: str, product: Product, client: Client, admin_user: User
) -> None:
    client.force_login(admin_user)
    read(products)
    seen_meanwhile = []

    def visit(**kwargs: Any) -> None:
        seen_meanwhile.append(in_another_thread(lambda: name_in(products)))

    post_save.connect(visit, sender=Product)
    try:
        form = model_to_dict(product, fields=["name", "description", "price", "stock", "category"])
        saved = client.post(f"/admin/catalog/product/{product.pk}/change/", {**form, "name": "New"})
    finally:
        post_save.disconnect(visit, sender=Product)

    assert saved.status_code == 302
    assert seen_meanwhile[:1] == ["Old"]
    assert name_in("/uncached/products/") == "New"
    assert name_in(products) == ("Old" if is_textbook(products) else "New")


@pytest.mark.parametrize("nth_query", [1, 2, 3])
def test_a_page_filled_during_a_write_leaves_only_the_textbook_stale(
    nth_query: int, products: str, product: Product
) -> None:
    queries = 0

    def write() -> None:
        product.tags.clear()
        rename(product)

    def write_after_the_query(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal queries
        result = execute(sql, *rest)
        queries += 1
        if queries == nth_query:
            # The whole write: saved, committed, invalidated and acknowledged.
            in_another_thread(write)
        return result

    with connection.execute_wrapper(write_after_the_query):
        seen = read(products)

    assert queries == 3
    truth = read("/uncached/products/")
    shows_the_truth = read(products)["results"] == truth["results"]
    if is_textbook(products):
        assert shows_the_truth == (seen["results"] == truth["results"])
    else:
        assert shows_the_truth


def test_a_write_after_the_last_query_leaves_only_the_textbook_stale(products: str, product: Product) -> None:
    def write_after_the_last_query(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "catalog_tag" in sql:
            in_another_thread(lambda: rename(product))
        return result

    with connection.execute_wrapper(write_after_the_last_query):
        assert name_in(products) == "Old"

    assert name_in(products) == ("Old" if is_textbook(products) else "New")


@pytest.mark.parametrize(
    "write",
    [
        lambda product: Product.objects.update(name="New"),
        lambda product: Product.objects.bulk_update([Product(pk=product.pk, name="New")], ["name"]),
        lambda product: product.tags.clear(),
        lambda product: Tag.objects.update(name="new"),
        lambda product: product.category.__class__.objects.update(slug="new"),
    ],
    ids=["update", "bulk_update", "tags cleared", "tag renamed", "category renamed"],
)
def test_a_write_without_a_signal_leaves_only_the_textbook_stale(
    write: Callable[[Product], object], products: str, product: Product
) -> None:
    old = read(products)

    write(product)

    truth = read("/uncached/products/")
    assert truth != old
    assert read(products) == (old if is_textbook(products) else truth)


def test_a_reader_between_a_save_and_the_change_of_its_tags_leaves_only_the_textbook_stale(
    products: str, product: Product
) -> None:
    read(products)

    rename(product)
    in_another_thread(lambda: read(products))
    product.tags.clear()

    assert read("/uncached/products/")["results"][0]["tags"] == []
    assert read(products)["results"][0]["tags"] == (["old"] if is_textbook(products) else [])
