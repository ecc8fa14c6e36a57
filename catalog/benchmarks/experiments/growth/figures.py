"""Turns the measured times and sizes into series, figures and exponents of growth.

The exponent is the slope of a line through the samples on log-log axes. The method is that of Goldsmith,
Aiken and Wilkerson (Measuring Empirical Computational Complexity, FSE 2007), but with the Theil-Sen
estimator, which tolerates one outlier in four samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from catalog.benchmarks.experiments.growth.keys import KeyResult
from catalog.benchmarks.experiments.growth.products import HIT, MISS, WRITE, ProductTimes
from catalog.benchmarks.figures.results import Figure, Series
from catalog.benchmarks.figures.statistics import CONFIDENCE, Interval, median_interval

# The name of a case is one of these, followed by the size.
OF_PRODUCTS, OF_KEYS = "products_", "keys_"
SLOPE_OF_PRODUCTS, SLOPE_OF_KEYS = "slope_products", "slope_keys"
INVALIDATION, MEMORY, MEMORY_PER_PAGE = "invalidation", "memory", "memory_per_page"
PAGES, FAILED = "pages", "failed"
# Up to this exponent, a hundred times the size costs less than twice the time.
CONSTANT_UP_TO = 0.15
LINEAR_FROM = 0.8
LINEAR_UP_TO = 1.2
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


def fit_slope(samples: Mapping[int, Sequence[float]]) -> Interval | None:
    """The slope through the positive samples of each size, with its 95 % confidence interval.

    0 means constant, 1 means linear. ``None`` for fewer than two sizes.
    """
    points = [(size, value) for size, values in samples.items() for value in values if value > 0]
    if len({size for size, _ in points}) < 2:
        return None
    from scipy.stats import theilslopes

    sizes, values = np.log10(np.asarray(points, dtype=float)).T
    # For equal samples the slope is 0 and the limits of the interval are NaN.
    with np.errstate(invalid="ignore"):
        found = theilslopes(values, sizes, CONFIDENCE)
    low, high = (None if math.isnan(limit) else float(limit) for limit in (found.low_slope, found.high_slope))
    return Interval(value=float(found.slope), low=low, high=high)


def grows(slope: float, low: float | None) -> str:
    """The slope in words, as a predicate of a time. ``low`` is the lower limit of its interval."""
    if slope <= CONSTANT_UP_TO:
        return "does not grow"
    if low is None or low <= 0:
        return "shows no significant growth"
    if slope < LINEAR_FROM:
        return "grows less than linearly"
    return "grows linearly" if slope <= LINEAR_UP_TO else "grows faster than linearly"
