"""Measures how much of the time of seeding is Django's and the database's.

Compares seeding of products with their tags to a bare ``bulk_create`` of as many ready-made products
in batches of the same size, which is the least that Django can do. A second baseline also writes the
tags as ready-made rows, so it writes the same rows as seeding. The three take turns. Each turn runs in
a transaction that is rolled back, so the catalogue stays as it is and no time includes a COMMIT.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from django.db import models, transaction
from django.test.utils import override_settings

from catalog.benchmarks.sandbox.isolation import garbage_collector_off
from catalog.models import Product
from catalog.options import require_at_least
from catalog.seeding import SeedingPlan, add_missing
from catalog.seeding.composer import Composer

# The products of this seed are in no catalogue.
SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class SeedingComparison:
    """The seconds of each turn, in order."""

    count: int
    batch_size: int
    seeding_seconds: tuple[float, ...]
    bare_seconds: tuple[float, ...]
    bare_with_tags_seconds: tuple[float, ...]

    def rates(self) -> list[tuple[str, float, float, float]]:
        """A name, and the products per second: the median, the least and the most."""
        turns = {
            "seed_products": self.seeding_seconds,
            "bulk_create of ready-made products": self.bare_seconds,
            "bulk_create of ready-made products and tag rows": self.bare_with_tags_seconds,
        }
        return [
            (
                name,
                self.count / statistics.median(seconds),
                self.count / max(seconds),
                self.count / min(seconds),
            )
            for name, seconds in turns.items()
        ]

    def verdict(self) -> str:
        bare = _median_ratio(self.bare_seconds, self.seeding_seconds)
        with_tags = _median_ratio(self.bare_with_tags_seconds, self.seeding_seconds)
        return (
            f"Seeding is {bare:.2f} times as fast as bulk_create of ready-made products, "
            f"and {with_tags:.2f} times as fast as writing the same rows."
        )


def to_json(comparison: SeedingComparison) -> str:
    return json.dumps(asdict(comparison))


def from_json(text: str) -> SeedingComparison:
    """Raises ``ValueError`` for anything else."""
    try:
        fields = json.loads(text)
        turns = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return SeedingComparison(**{**fields, **turns})
    except (TypeError, AttributeError) as error:
        raise ValueError(f"it is not a comparison of seeding: {error}") from None


def measure_seeding(*, count: int = 20_000, batch_size: int = 2000, rounds: int = 7) -> SeedingComparison:
    """Raises ``InvalidOption``."""
    for option, value in (("--count", count), ("--batch-size", batch_size), ("--rounds", rounds)):
        require_at_least(option, value, 1)
    turns: dict[str, list[float]] = {"seeding": [], "bare": [], "bare_with_tags": []}
    with override_settings(DEBUG=False):
        for _ in range(rounds):
            for name, seconds in turns.items():
                with transaction.atomic():
                    seconds.append(_time_turn(name, count, batch_size))
                    transaction.set_rollback(True)
    return SeedingComparison(
        count=count,
        batch_size=batch_size,
        **{f"{name}_seconds": tuple(seconds) for name, seconds in turns.items()},
    )


def _time_turn(name: str, count: int, batch_size: int) -> float:
    composer = Composer(SEED, database="default")
    if name == "seeding":
        plan = SeedingPlan(
            count=count, seed=SEED, clear=False, database="default", is_there=bytearray(count), surplus=0
        )
        return _seconds(lambda: add_missing(plan, batch_size=batch_size, on_progress=lambda _: None))
    composed = [composer.compose(number) for number in range(count)]
    products = [product for product, _ in composed]
    seconds = _seconds(lambda: _create(products, batch_size))
    if name == "bare":
        return seconds
    return seconds + _time_tags(products, [tags for _, tags in composed], batch_size)


def _time_tags(products: Sequence[Product], tag_sets: Sequence[tuple[int, ...]], batch_size: int) -> float:
    through = Product.tags.through
    rows = [
        through(product_id=product.pk, tag_id=tag)
        for product, tags in zip(products, tag_sets, strict=True)
        for tag in tags
    ]
    return _seconds(lambda: _create(rows, batch_size))


def _create(rows: Sequence[models.Model], batch_size: int) -> None:
    model: Any = type(rows[0]) if rows else Product
    remaining = iter(rows)
    while batch := list(islice(remaining, batch_size)):
        with transaction.atomic():
            model.objects.bulk_create(batch)


def _seconds(work: Callable[[], object]) -> float:
    with garbage_collector_off():
        started = time.perf_counter_ns()
        work()
        return (time.perf_counter_ns() - started) / 1_000_000_000


def _median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))
