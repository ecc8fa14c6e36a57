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


def product_series(found: ProductTimes) -> Iterator[Series]:
    for size, by_name in found.times.items():
        for name, by_strategy in by_name.items():
            for strategy, values in by_strategy.items():
                yield Series(
                    strategy=strategy, case=f"{OF_PRODUCTS}{size}", name=name, unit="s", values=tuple(values)
                )


def key_series(found: KeyResult) -> Iterator[Series]:
    for size, by_strategy in found.findings.items():
        for strategy, each in by_strategy.items():
            series = partial(Series, strategy=strategy, case=f"{OF_KEYS}{size}")
            yield series(name=INVALIDATION, unit="s", values=tuple(each.invalidations))
            if each.bytes:
                yield series(name=MEMORY, unit="bytes", values=tuple(each.bytes))


def median_figure(series: Series, seed: int) -> Figure:
    median = median_interval(series.values, seed=seed)
    return Figure(
        strategy=series.strategy,
        case=series.case,
        name=series.name,
        value=median.value,
        low=median.low,
        high=median.high,
        unit=series.unit,
        series=series.name,
    )


def page_figures(found: KeyResult) -> Iterator[Figure]:
    for size, by_strategy in found.findings.items():
        for strategy, each in by_strategy.items():
            figure = partial(Figure, strategy=strategy, case=f"{OF_KEYS}{size}")
            yield figure(name=FAILED, value=each.failures, unit="count")
            if each.bytes:
                yield figure(name=PAGES, value=each.pages, unit="count", better="neither")
                weighed = median_interval(each.bytes).value / each.pages
                yield figure(name=MEMORY_PER_PAGE, value=weighed, unit="bytes")


def slope_figures(series: Sequence[Series], strategies: Sequence[str]) -> Iterator[Figure]:
    for start, case, names in (
        (OF_PRODUCTS, SLOPE_OF_PRODUCTS, (HIT, MISS, WRITE)),
        (OF_KEYS, SLOPE_OF_KEYS, (INVALIDATION, MEMORY)),
    ):
        for name in names:
            for strategy in strategies:
                samples = {
                    int(each.case.removeprefix(start)): each.values
                    for each in series
                    if each.strategy == strategy and each.name == name and each.case.startswith(start)
                }
                slope = fit_slope(samples)
                if slope is not None:
                    yield Figure(
                        strategy=strategy,
                        case=case,
                        name=name,
                        value=slope.value,
                        low=slope.low,
                        high=slope.high,
                        unit="ratio",
                    )
