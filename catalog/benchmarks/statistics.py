"""What is said of a list of times. Times are nanoseconds inside and seconds where they are exported."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

NANOSECONDS = 1_000_000_000
FEWEST_SAMPLES_FOR_P99 = 100
BOOTSTRAP_RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Seconds, and requests per second of busy time. ``p99`` is ``None`` below 100 samples."""

    count: int
    min: float
    p50: float
    p95: float
    p99: float | None
    max: float
    mean: float
    stdev: float
    requests_per_second: float


@dataclass(frozen=True, kw_only=True)
class Speedup:
    """How many times faster: the ratio of the medians, with its 95 % confidence interval."""

    ratio: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        return not self.low <= 1 <= self.high


def summarise(samples_ns: Sequence[int]) -> Summary:
    """Percentiles by the inclusive method (Hyndman and Fan's definition 7)."""
    seconds = [sample / NANOSECONDS for sample in samples_ns]
    mean = statistics.fmean(seconds)
    return Summary(
        count=len(seconds),
        min=min(seconds),
        p50=statistics.median(seconds),
        p95=percentile(seconds, 95),
        p99=percentile(seconds, 99) if len(seconds) >= FEWEST_SAMPLES_FOR_P99 else None,
        max=max(seconds),
        mean=mean,
        stdev=statistics.stdev(seconds) if len(seconds) > 1 else 0.0,
        requests_per_second=1 / mean,
    )


def percentile(values: Sequence[float], percent: int) -> float:
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def compare(baseline_ns: Sequence[int], samples_ns: Sequence[int], *, seed: int = 0) -> Speedup:
    """The speed-up of the samples over the baseline; its interval by the percentile bootstrap.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    chance = random.Random(seed)
    ratios = sorted(
        _resampled_median(chance, baseline_ns) / _resampled_median(chance, samples_ns)
        for _ in range(BOOTSTRAP_RESAMPLES)
    )
    return Speedup(
        ratio=statistics.median(baseline_ns) / statistics.median(samples_ns),
        low=ratios[int(0.025 * BOOTSTRAP_RESAMPLES)],
        high=ratios[int(0.975 * BOOTSTRAP_RESAMPLES) - 1],
    )


def _resampled_median(chance: random.Random, samples: Sequence[int]) -> float:
    return statistics.median(chance.choices(samples, k=len(samples)))
