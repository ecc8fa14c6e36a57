"""Planted times and sizes become series, figures and slopes of exactly these values."""

from __future__ import annotations

import pytest

from catalog.benchmarks.experiments.growth.figures import (
    key_series,
    page_figures,
    product_series,
    slope_figures,
)
from catalog.benchmarks.experiments.growth.keys import KeyFindings, KeyResult
from catalog.benchmarks.experiments.growth.products import ProductTimes
from catalog.benchmarks.figures.results import Figure, Series

SIZES = (1_000, 10_000, 100_000)
# The time of each strategy is proportional to the size raised to this exponent.
EXPONENTS = {
    ("mine", "hit"): 0.0,
    ("mine", "miss"): 0.5,
    ("mine", "write"): 1.0,
    ("other", "hit"): 2.0,
    ("other", "miss"): -0.5,
    ("other", "write"): 0.25,
}


def times(strategy: str, what: str, size: int) -> list[float]:
    return [1e-6 * size ** EXPONENTS[strategy, what]] * 3


PRODUCTS = ProductTimes(
    times={
        size: {
            what: {strategy: times(strategy, what, size) for strategy in ("mine", "other")}
            for what in ("hit", "miss", "write")
        }
        for size in SIZES
    }
)


def findings(size: int, *, exponent: float) -> KeyFindings:
    return KeyFindings(
        invalidations=[1e-6 * size**exponent] * 3, bytes=[300 * size, 100 * size], pages=size // 2, failures=1
    )


KEYS = KeyResult(
    findings={
        size: {
            "mine": findings(size, exponent=0),
            "other": findings(size, exponent=1),
            "uncached": KeyFindings(invalidations=[1e-6]),
        }
        for size in SIZES
    },
    invalidates={"mine": True, "other": True, "uncached": False},
    warnings=(),
)


def by_path(figures: list[Figure]) -> dict[str, float | None]:
    return {figure.path: figure.value for figure in figures}


def test_each_time_is_in_the_series_of_its_size() -> None:
    series = {(each.strategy, each.case, each.name): each for each in product_series(PRODUCTS)}

    assert len(series) == len(EXPONENTS) * len(SIZES)
    for (strategy, what), exponent in EXPONENTS.items():
        for size in SIZES:
            found = series[strategy, f"products_{size}", what]
            assert found.values == pytest.approx((1e-6 * size**exponent,) * 3)
            assert found.unit == "s"


def test_each_number_of_keys_has_a_series_of_times_and_one_of_bytes_if_pages_were_stored() -> None:
    series = {(each.strategy, each.case, each.name): each for each in key_series(KEYS)}

    assert len(series) == 5 * len(SIZES)
    assert series["mine", "keys_1000", "invalidation"].values == (1e-6, 1e-6, 1e-6)
    assert series["other", "keys_10000", "memory"].values == (3_000_000, 1_000_000)
    assert series["other", "keys_10000", "memory"].unit == "bytes"
    assert ("uncached", "keys_1000", "memory") not in series


def test_the_memory_of_a_page_is_the_median_of_the_rounds_divided_by_the_pages() -> None:
    assert by_path([*page_figures(KEYS)]) == {
        **{f"{name}.keys_{size}.failed": 1 for name in ("mine", "other") for size in SIZES},
        **{f"{name}.keys_{size}.pages": size / 2 for name in ("mine", "other") for size in SIZES},
        **{f"{name}.keys_{size}.memory_per_page": 400 for name in ("mine", "other") for size in SIZES},
        **{f"uncached.keys_{size}.failed": 0 for size in SIZES},
    }


def test_the_slopes_are_the_planted_exponents() -> None:
    series = [*product_series(PRODUCTS), *key_series(KEYS)]

    figures = [*slope_figures(series, ["mine", "other", "uncached"])]

    assert by_path(figures) == pytest.approx(
        {
            **{f"{name}.slope_products.{what}": each for (name, what), each in EXPONENTS.items()},
            "mine.slope_keys.invalidation": 0,
            "other.slope_keys.invalidation": 1,
            "uncached.slope_keys.invalidation": 0,
            "mine.slope_keys.memory": 1,
            "other.slope_keys.memory": 1,
        },
        abs=1e-9,
    )
    for figure in figures:
        assert (figure.unit, figure.better) == ("ratio", "lower")


def test_a_slope_has_the_interval_of_its_samples() -> None:
    series = [
        Series(strategy="mine", case=f"keys_{size}", name="invalidation", unit="s", values=(0.9, 1.0, 1.1))
        for size in SIZES
    ]

    [slope] = slope_figures(series, ["mine"])

    assert slope.low is not None
    assert slope.high is not None
    assert slope.low < (slope.value or 0) < slope.high


def test_only_the_strategies_of_the_run_have_slopes() -> None:
    series = [*product_series(PRODUCTS)]

    assert {figure.strategy for figure in slope_figures(series, ["other"])} == {"other"}
