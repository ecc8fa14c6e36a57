"""The exponent of growth: the slope of a line through the samples on log-log axes.

The method is that of Goldsmith, Aiken and Wilkerson (Measuring Empirical Computational Complexity, FSE
2007), but with the Theil-Sen estimator, which tolerates one outlier in four samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from catalog.benchmarks.figures.statistics import CONFIDENCE, Interval

# Up to this exponent, a hundred times the size costs less than twice the time.
CONSTANT_UP_TO = 0.15
LINEAR_FROM = 0.8
LINEAR_UP_TO = 1.2


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
