from typing import Any
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection
from pytest_django import Settings

from catalog.factories import ProductFactory
from catalog.models import Category, Product, ProductQuerySet
from catalog.options import InvalidOption
from catalog.seeding import MAX_BATCH_SIZE, SeedingResult, carry_out, plan_seeding, seeded_products
from catalog.seeding.composer import sku_of

pytestmark = pytest.mark.django_db


class Interrupted(Exception):
    pass


def interrupt(products: int) -> None:
    raise Interrupted


def seed(count: int, **options: Any) -> SeedingResult:
    return carry_out(plan_seeding(count=count, **options), batch_size=7)


def contents() -> list[dict[str, Any]]:
    rows = seeded_products().order_by("sku").prefetch_related("tags")
    return [
        {
            "sku": row.sku,
            "name": row.name,
            "description": row.description,
            "price": row.price,
            "stock": row.stock,
            "category": row.category_id,
            "tags": sorted(tag.name for tag in row.tags.all()),
        }
        for row in rows
    ]


def test_seeding_adds_or_removes_products_to_reach_the_count() -> None:
    for count, added, removed in ((20, 20, 0), (20, 0, 0), (50, 30, 0), (15, 0, 35), (0, 0, 15)):
        result = seed(count)
        assert (result.added, result.removed) == (added, removed)
        assert seeded_products().count() == count


def test_a_product_depends_only_on_its_seed_and_its_number() -> None:
    seed(60)
    together = contents()
    seed(0)
    for count in (11, 35, 60):
        seed(count)

    assert contents() == together
    assert [row["sku"] for row in together] == [sku_of(0, number) for number in range(60)]


def test_another_seed_gives_other_products() -> None:
    seed(10)
    first = contents()
    seed(10, seed=1)

    assert seeded_products().count() == 10
    assert not {row["name"] for row in first} & {row["name"] for row in contents()}


def test_seeding_restores_a_deleted_product_and_keeps_an_edited_one() -> None:
    seed(20)
    before = contents()
    Product.objects.get(sku=sku_of(0, 3)).delete()
    Product.objects.filter(sku=sku_of(0, 4)).update(name="Renamed")

    result = seed(20)

    assert (result.added, result.removed) == (1, 0)
    assert contents()[3] == before[3]
    assert contents()[4]["name"] == "Renamed"


def test_clear_replaces_every_seeded_product() -> None:
    seed(20)
    before = contents()
    Product.objects.filter(sku=sku_of(0, 4)).update(name="Renamed")

    result = seed(20, clear=True)

    assert (result.added, result.removed) == (20, 20)
    assert contents() == before


def test_products_that_were_not_seeded_are_left_alone() -> None:
    ProductFactory.create(sku="KIT-0001")
    ProductFactory.create(sku=None)
    seed(10)
    seed(0)

    assert Product.objects.count() == 2


@pytest.mark.parametrize(
    "sku", ["SEED-POTATO-5KG", "SEED-0-0 5", "SEED-0-5", "SEED-0--0000000005", "SEED-0-0000000005x", "SEED-"]
)
def test_a_product_whose_sku_only_resembles_a_seeded_one_is_left_alone(sku: str) -> None:
    ProductFactory.create(sku=sku)

    assert seed(10).added == 10
    assert seed(0).removed == 10
    assert Product.objects.get().sku == sku


def test_progress_adds_up_to_the_products_added_and_removed() -> None:
    seed(10, seed=5)
    done: list[int] = []
    plan = plan_seeding(count=30)
    carry_out(plan, batch_size=8, on_progress=done.append)

    assert plan.surplus == 10
    assert sum(done) == 40


def test_debug_does_not_keep_the_statements_in_memory(settings: Settings) -> None:
    settings.DEBUG = True

    seed(20)

    assert not connection.queries


def test_an_interrupted_run_leaves_whole_batches() -> None:
    with pytest.raises(Interrupted):
        carry_out(plan_seeding(count=30), batch_size=10, on_progress=interrupt)
    assert seeded_products().count() == 10
    result = seed(30)

    assert result.added == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": -1}, "--count must be at least 0, got -1."),
        ({"count": 10**11}, "--count must be at most"),
        ({"count": 10**20}, "--count must be at most"),
        ({"count": 1, "seed": -1}, "--seed must be at least 0, got -1."),
        ({"count": 1, "seed": 2**32}, "--seed must be at most 4294967295, got 4294967296."),
        ({"count": "10"}, "--count must be a whole number, got '10'."),
        ({"count": 10.0}, "--count must be a whole number, got 10.0."),
        ({"count": True}, "--count must be a whole number, got True."),
    ],
)
def test_an_invalid_option_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        plan_seeding(**options)


@pytest.mark.parametrize(
    ("batch_size", "rule"),
    [(0, "at least 1, got 0"), (40_000, "at most 30000, got 40000"), (2.5, "a whole number, got 2.5")],
)
def test_an_invalid_batch_size_is_refused(batch_size: Any, rule: str) -> None:
    with pytest.raises(InvalidOption, match=f"--batch-size must be {rule}"):
        carry_out(plan_seeding(count=1), batch_size=batch_size)


def test_the_largest_batch_can_be_removed() -> None:
    carry_out(plan_seeding(count=MAX_BATCH_SIZE), batch_size=MAX_BATCH_SIZE)

    result = carry_out(plan_seeding(count=0), batch_size=MAX_BATCH_SIZE)

    assert result.removed == MAX_BATCH_SIZE


def test_products_that_another_run_added_meanwhile_are_not_counted() -> None:
    first, second = plan_seeding(count=30), plan_seeding(count=30)
    with pytest.raises(Interrupted):
        carry_out(first, batch_size=7, on_progress=interrupt)

    done: list[int] = []
    result = carry_out(second, batch_size=10, on_progress=done.append)

    assert result.added == 23
    assert sum(done) == second.missing
    assert seeded_products().count() == 30
    assert carry_out(first, batch_size=10).added == 0


def test_products_that_another_run_removed_meanwhile_are_not_counted() -> None:
    seed(20)
    plan = plan_seeding(count=5)
    listed = ProductQuerySet.values_list

    def list_then_remove_one(rows: ProductQuerySet, *fields: str, **options: Any) -> list[int]:
        keys = list(listed(rows, *fields, **options))
        seeded_products().filter(sku=sku_of(0, 19)).delete()
        return keys

    with patch.object(ProductQuerySet, "values_list", list_then_remove_one):
        assert carry_out(plan, batch_size=100).removed == 14


def test_an_integrity_error_without_another_run_is_raised() -> None:
    with (
        patch("catalog.seeding._add", side_effect=IntegrityError("FOREIGN KEY constraint failed")),
        pytest.raises(IntegrityError, match="FOREIGN KEY"),
    ):
        seed(10)


def test_a_category_with_a_changed_slug_is_found_by_its_name() -> None:
    seed(60)
    before = contents()
    seed(0)
    Category.objects.filter(slug="kitchen").update(slug="cooking")

    seed(60)

    assert contents() == before
    assert Category.objects.count() == 8
    assert Category.objects.get(slug="cooking").products.exists()


def test_a_category_with_a_changed_name_is_found_by_its_slug() -> None:
    seed(60)
    Category.objects.filter(slug="kitchen").update(name="Cooking")

    seed(70)

    assert Category.objects.count() == 8
