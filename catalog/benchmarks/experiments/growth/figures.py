"""Turns the measured times and sizes into series and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from catalog.benchmarks.experiments.growth.fits import fit_slope
from catalog.benchmarks.experiments.growth.keys import KeyResult
from catalog.benchmarks.experiments.growth.products import ProductTimes
from catalog.benchmarks.experiments.growth.turns import HIT, MISS, WRITE
from catalog.benchmarks.figures.results import Figure, Series
from catalog.benchmarks.figures.statistics import median_interval

# The name of a case is one of these, followed by the size.
OF_PRODUCTS, OF_KEYS = "products_", "keys_"
SLOPE_OF_PRODUCTS, SLOPE_OF_KEYS = "slope_products", "slope_keys"
INVALIDATION, MEMORY, MEMORY_PER_PAGE = "invalidation", "memory", "memory_per_page"
PAGES, FAILED = "pages", "failed"
SLOPES = {
    (SLOPE_OF_PRODUCTS, OF_PRODUCTS): (HIT, MISS, WRITE),
    (SLOPE_OF_KEYS, OF_KEYS): (INVALIDATION, MEMORY),
}


def product_series(found: ProductTimes) -> Iterator[Series]:
    for size, by_name in found.times.items():
        series = partial(Series, case=f"{OF_PRODUCTS}{size}", unit="s")
        for name, by_strategy in by_name.items():
            for strategy, values in by_strategy.items():
                yield series(strategy=strategy, name=name, values=tuple(values))


def key_series(found: KeyResult) -> Iterator[Series]:
    for size, by_strategy in found.findings.items():
        for strategy, each in by_strategy.items():
            series = partial(Series, strategy=strategy, case=f"{OF_KEYS}{size}")
            yield series(name=INVALIDATION, unit="s", values=tuple(each.invalidations))
            if each.bytes:
                yield series(name=MEMORY, unit="bytes", values=tuple(each.bytes))


def page_figures(found: KeyResult) -> Iterator[Figure]:
    for size, by_strategy in found.findings.items():
        for strategy, each in by_strategy.items():
            figure = partial(Figure, strategy=strategy, case=f"{OF_KEYS}{size}")
            yield figure(name=FAILED, value=each.failures, unit="count")
            if each.bytes:
                yield figure(name=PAGES, value=each.pages, unit="count", better="neither")
                bytes_per_page = median_interval(each.bytes).value / each.pages
                yield figure(name=MEMORY_PER_PAGE, value=bytes_per_page, unit="bytes")


def slope_figures(series: Sequence[Series], strategies: Sequence[str]) -> Iterator[Figure]:
    for (case, start), names in SLOPES.items():
        for name in names:
            for strategy in strategies:
                samples = {
                    int(each.case.removeprefix(start)): each.values
                    for each in series
                    if (each.strategy, each.name) == (strategy, name) and each.case.startswith(start)
                }
                slope = fit_slope(samples)
                if slope is not None:
                    yield Figure(strategy=strategy, case=case, name=name, unit="ratio", **vars(slope))
