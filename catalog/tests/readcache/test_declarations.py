from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured

from catalog.models import Category, Product, Tag
from readcache import declarations
from readcache.declarations import ReadCache, declared_tags


@pytest.fixture(autouse=True)
def declarations_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test declares is gone when it ends."""
    monkeypatch.setattr(declarations, "_declared", [*declarations.declarations()])


def declare(prefix: str = "shelf", **options: Any) -> ReadCache:
    return ReadCache(prefix, **{"depends_on": (Product,), "timeout": 60, **options})


@pytest.mark.parametrize("prefix", ["a", "product_list", "v1.products", "Shelf-2", "x" * 64])
def test_a_prefix_is_made_of_letters_digits_and_some_signs(prefix: str) -> None:
    assert declare(prefix).prefix == prefix


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "x" * 65,
        "product list",
        "product:list",
        "products*",
        "products?",
        "[a]",
        "é",
        "a\n",
        "a/b",
        "#",
        "%",
    ],
)
def test_a_prefix_that_could_be_taken_for_another_part_of_a_key_is_refused(prefix: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="prefix must be 1 to 64 letters") as refused:
        declare(prefix)
    assert repr(prefix) in str(refused.value)


@pytest.mark.parametrize("timeout", [0.001, 1, 60 * 15, 3.5e7])
def test_a_timeout_is_more_than_nothing(timeout: float) -> None:
    assert declare(timeout=timeout).timeout_seconds == timeout


@pytest.mark.parametrize(
    "timeout", [0, 0.0, -1, -0.5, float("nan"), float("-inf"), float("inf"), 1e12, None, "60"]
)
def test_a_timeout_of_nothing_or_for_ever_is_refused(timeout: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="timeout must be more than 0 seconds") as refused:
        declare(timeout=timeout)
    assert str(timeout) in str(refused.value)


@pytest.mark.parametrize("nothing", [(), []])
def test_a_declaration_that_depends_on_nothing_is_refused(nothing: Sequence[Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="'shelf' must depend on at least one model"):
        declare(depends_on=nothing)


def test_a_declaration_that_depends_on_more_than_an_entry_can_count_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="at most 255, got 256"):
        declare(depends_on=[Product] * 256)


def test_a_refused_declaration_is_not_counted() -> None:
    before = declarations.declarations()

    for wrong in ({"prefix": "no good"}, {"timeout": 0}, {"depends_on": ()}):
        with pytest.raises(ImproperlyConfigured):
            declare(**wrong)

    assert declarations.declarations() == before


def test_the_tags_are_the_tables_names_sorted_and_each_once() -> None:
    read_cache = declare(depends_on=(Tag, Product, Product.tags.through, Category, Product))

    assert read_cache.tags == (
        "catalog_category",
        "catalog_product",
        "catalog_product_tags",
        "catalog_tag",
    )


def test_the_order_in_which_models_are_named_makes_no_difference() -> None:
    assert declare(depends_on=[Tag, Product]).tags == declare(depends_on=(Product, Tag)).tags


def test_a_view_may_name_parameters_of_its_own() -> None:
    assert declare().parameters == ()
    assert declare(parameters=["currency", "unit"]).parameters == ("currency", "unit")


def test_every_declaration_is_known_and_its_tables_are_watched() -> None:
    assert "auth_group" not in declared_tags()

    read_cache = declare(depends_on=(Group,))

    assert declarations.declarations()[-1] is read_cache
    assert "auth_group" in declared_tags()


def test_the_shops_views_are_declared_with_a_prefix_each() -> None:
    prefixes = [read_cache.prefix for read_cache in declarations.declarations()]

    assert {"product_list", "product_detail", "product_stats", "category_list"} <= set(prefixes)
    assert declared_tags() >= {
        "catalog_product",
        "catalog_category",
        "catalog_tag",
        "catalog_product_tags",
    }
