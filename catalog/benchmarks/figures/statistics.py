"""Statistics of samples, with the formulas of NumPy and SciPy.

SciPy takes most of a second to import, so the functions that need it import it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog.benchmarks.figures.results import Better, Figure, Series

NANOSECONDS = 1_000_000_000
FEWEST_SAMPLES_FOR_P99 = 100
# The median of a distribution lies between the extremes of five samples in only 94 % of cases.
FEWEST_SAMPLES_FOR_INTERVAL = 6
BOOTSTRAP_RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Times in seconds, and requests per second of busy time. ``p99`` needs at least 100 samples."""

    min: float
    p50: float
    p95: float
    p99: float | None
    max: float
    mean: float
    stdev: float
    requests_per_second: float


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and its 95 % confidence interval, which is ``None`` if there were too few samples.

    The fields have the same names as those of ``Figure``.
    """

    value: float
    low: float | None
    high: float | None

    def has(self, value: float) -> bool:
        """Whether the interval contains the value. Without an interval any value is possible."""
        return self.low is None or self.high is None or self.low <= value <= self.high

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return "too few samples for an interval"
        return f"95% interval {self.low:z.2f} to {self.high:z.2f}"


def summarise(seconds: Sequence[float]) -> Summary:
    """Percentiles by the inclusive method (Hyndman and Fan's definition 7, NumPy's "linear")."""
    mean = float(np.mean(seconds))
    p50, p95, p99 = (float(each) for each in np.percentile(seconds, [50, 95, 99]))
    return Summary(
        min=float(np.min(seconds)),
        p50=p50,
        p95=p95,
        p99=p99 if len(seconds) >= FEWEST_SAMPLES_FOR_P99 else None,
        max=float(np.max(seconds)),
        mean=mean,
        stdev=float(np.std(seconds, ddof=1)) if len(seconds) > 1 else 0.0,
        requests_per_second=1 / mean,
    )


def median_interval(samples: Sequence[float], *, seed: int = 0) -> Interval:
    """The median, with its interval by the percentile bootstrap.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    return _bootstrap((samples,), np.median, seed)


def median_figure(series: Series, *, seed: int = 0, better: Better = "lower") -> Figure:
    """The median of a series, under the name of the series."""
    return Figure(
        strategy=series.strategy,
        case=series.case,
        name=series.name,
        unit=series.unit,
        better=better,
        series=series.name,
        **vars(median_interval(series.values, seed=seed)),
    )


def median_ratio(numerator: Sequence[float], denominator: Sequence[float], *, seed: int = 0) -> Interval:
    """The ratio of the medians of independent samples, with its interval by the percentile bootstrap."""
    return _bootstrap((numerator, denominator), _ratio_of_medians, seed)


def _ratio_of_medians(numerator: Any, denominator: Any, axis: int = -1) -> Any:
    return np.median(numerator, axis=axis) / np.median(denominator, axis=axis)


def _bootstrap(samples: tuple[Sequence[float], ...], statistic: Callable[..., Any], seed: int) -> Interval:
    arrays = tuple(np.asarray(each, dtype=float) for each in samples)
    value = float(statistic(*arrays, axis=-1))
    if min(map(len, arrays)) < FEWEST_SAMPLES_FOR_INTERVAL:
        return Interval(value=value, low=None, high=None)
    from scipy.stats import bootstrap

    found = bootstrap(
        arrays,
        statistic,
        n_resamples=BOOTSTRAP_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value=value, low=float(found.low), high=float(found.high))
