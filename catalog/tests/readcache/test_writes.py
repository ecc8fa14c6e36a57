"""The writes that the laboratory measures change exactly the pages that they name, and are seen.

The engine's own tests, in ``readcache/tests``, have kinds of their own in every kind of transaction.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from catalog import seeding
from catalog.benchmarks.experiments.invalidation.writes import KINDS, Kind, Page, Target, make_targets
from catalog.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

LIST, STATS, CATEGORIES = "/products/", "/products/stats/", "/categories/"


@pytest.fixture
def target() -> Target:
    """Two products with a category and a tag that no other product has."""
    user = User.objects.create_superuser("wilhelmina")
    admin = Client(headers={"accept": "text/html"})
    admin.force_login(user)
    [made] = make_targets("Old", 1, admin=admin)
    return made


def get(url: str) -> tuple[Any, str]:
    """The JSON that a visitor is shown, and how the cache took part in it."""
    response = APIClient().get(url)
    assert response.status_code in (200, 404), response.content
    return response.json(), response["Cache-Status"]


def truth(url: str) -> Any:
    return APIClient().get(f"/uncached{url}").json()


def pages_of(target: Target) -> dict[Page, str]:
    return {
        "list": LIST,
        "detail": f"{LIST}{target.product.pk}/",
        "statistics": STATS,
        "category": f"{CATEGORIES}{target.category.slug}/",
    }


def warm(pages: list[str]) -> dict[str, Any]:
    """Fill the pages, and return what they show."""
    for url in pages:
        get(url)
    shown = {url: get(url) for url in pages}
    assert all(status.startswith("shop; hit") for _, status in shown.values()), shown
    return {url: body for url, (body, _) in shown.items()}


def assert_right(pages: list[str]) -> None:
    """At the first reading, and again when it is served from the entry that the first has stored."""
    expected = {url: truth(url) for url in pages}
    for _ in range(2):
        assert {url: get(url)[0] for url in pages} == expected


def seed(target: Target) -> None:
    seeding.carry_out(seeding.plan_seeding(count=3))


SEED = Kind(name="seed", changes=frozenset({"list", "statistics"}), write=seed)
every_kind_of_write = pytest.mark.parametrize(
    "kind", [*(kind for kind in KINDS if not kind.is_elsewhere), SEED], ids=lambda kind: kind.name
)


@every_kind_of_write
def test_a_write_changes_the_pages_that_it_names_and_is_seen_by_the_next_read(
    kind: Kind, target: Target
) -> None:
    named = pages_of(target)
    pages = [*named.values(), CATEGORIES]
    old = warm(pages)

    kind.write(target)

    assert {page for page, url in named.items() if truth(url) != old[url]} == kind.changes
    assert_right(pages)


@contextmanager
def counted(read_redis: Any) -> Iterator[Callable[[], tuple[int, int, int]]]:
    """Round trips, scripts, and marks that were left, since the block began."""

    def count() -> tuple[int, int, int]:
        commands = read_redis.info("commandstats")
        scripts, marks = (
            int(commands.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "zadd")
        )
        # The server reads a pipeline of a few commands at once, and each INFO alone.
        return int(read_redis.info("stats")["total_reads_processed"]), scripts, marks

    # The end of a connection that is garbage would count as a read of the server.
    gc.collect()
    before = count()

    def difference() -> tuple[int, int, int]:
        reads, scripts, marks = (now - then for now, then in zip(count(), before, strict=True))
        return reads - 2, scripts, marks

    yield difference


def test_seeding_a_thousand_products_costs_a_few_round_trips(read_redis: Any) -> None:
    read_redis.ping()
    seeding.carry_out(seeding.plan_seeding(count=1))

    with counted(read_redis) as cost:
        seeding.carry_out(seeding.plan_seeding(count=1_001))

    # One batch: the tables of products and of their tags are guarded together, and rotated together.
    assert Product.objects.count() == 1_001
    assert cost() == (2, 2, 2)
