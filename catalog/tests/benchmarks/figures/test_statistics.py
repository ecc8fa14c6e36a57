import math
import random
import statistics

import pytest

from catalog.benchmarks.figures.results import Better, Series
from catalog.benchmarks.figures.statistics import (
    Interval,
    median_figure,
    median_interval,
    median_ratio,
    summarise,
)


def test_a_summary_holds_seconds_and_requests_per_second() -> None:
    summary = summarise([1, 3])

    assert (summary.min, summary.p50, summary.max, summary.mean) == (1, 2, 3, 2)
    assert summary.stdev == pytest.approx(2**0.5)
    assert summary.requests_per_second == 0.5


def test_percentiles_follow_the_inclusive_method() -> None:
    assert summarise([float(value) for value in range(101)]).p95 == 95
    assert summarise([float(value) for value in range(101)]).p99 == 99
    assert summarise([1.0, 2.0]).p95 == pytest.approx(1.95)
    assert summarise([7.0]).p95 == 7.0


@pytest.mark.parametrize(("count", "has_p99"), [(99, False), (100, True)])
def test_fewer_than_a_hundred_samples_have_no_p99(count: int, has_p99: bool) -> None:
    assert (summarise(range(1, count + 1)).p99 is not None) is has_p99


def test_an_interval_needs_six_samples_and_a_summary_needs_one() -> None:
    assert summarise([5]).stdev == 0
    assert median_interval([5]) == Interval(value=5, low=None, high=None)
    assert median_interval([1, 2, 3, 4, 5]) == Interval(value=3, low=None, high=None)
    assert str(median_interval([5])) == "too few samples for an interval"
    assert median_interval([5]).has(7)
    assert str(median_interval([1, 2, 3, 4, 5, 6])) == "95% interval 2.00 to 5.50"


@pytest.mark.parametrize(
    ("value", "has"), [(0.99, False), (1.0, True), (2.0, True), (3.0, True), (3.01, False)]
)
def test_has_includes_both_limits_of_the_interval(value: float, has: bool) -> None:
    assert Interval(value=2, low=1, high=3).has(value) is has


@pytest.mark.parametrize(("low", "high"), [(None, 3), (1, None)])
def test_an_interval_with_one_limit_counts_as_no_interval(low: float | None, high: float | None) -> None:
    half = Interval(value=2, low=low, high=high)

    assert half.has(9)
    assert str(half) == "too few samples for an interval"


def test_a_ratio_has_no_interval_if_one_side_has_too_few_samples() -> None:
    six, five = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0] * 5

    assert median_ratio(six, five) == Interval(value=3.5, low=None, high=None)
    assert median_ratio(five, six) == Interval(value=1 / 3.5, low=None, high=None)
    assert median_ratio(six, six).low is not None


def test_the_interval_covers_95_percent() -> None:
    """The resampled medians of 2000 samples are approximately normally distributed."""
    values = samples(7, 1.0, count=2000)
    # The standard error of the median of a normal distribution with standard deviation 0.1.
    standard_error = 0.1 * (math.pi / 2 / 2000) ** 0.5

    low, high = limits(median_interval(values))

    assert (high - low) / standard_error == pytest.approx(2 * 1.96, rel=0.1)


def samples(seed: int, mean: float, *, count: int = 200) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(mean, mean / 10) for _ in range(count)]


def limits(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def test_a_ratio_lies_within_its_interval() -> None:
    ratio = median_ratio(samples(1, 4e-3), samples(2, 1e-3))

    low, high = limits(ratio)
    assert low < ratio.value < high
    assert ratio.value == pytest.approx(4, rel=0.05)
    assert not ratio.has(1)


def test_equal_distributions_do_not_differ_significantly() -> None:
    differ = [not median_ratio(samples(2 * n, 1e-3), samples(2 * n + 1, 1e-3)).has(1) for n in range(20)]

    # A 95 % interval is wrong in one of twenty cases. Four wrong ones of twenty have a chance of 1.6 %.
    assert sum(differ) <= 3


def test_a_95_percent_interval_covers_the_true_value_in_most_cases() -> None:
    ratios = [median_ratio(samples(1000 + n, 3e-3), samples(2000 + n, 1e-3)) for n in range(40)]
    medians = [median_interval(samples(1000 + n, 3e-3)) for n in range(40)]

    assert sum(ratio.has(3) for ratio in ratios) >= 33
    assert sum(median.has(3e-3) for median in medians) >= 33


def test_more_samples_make_the_interval_narrower() -> None:
    few, many = (limits(median_interval(samples(1, 1e-3, count=count))) for count in (20, 2000))

    assert many[1] - many[0] < few[1] - few[0]


def test_the_same_seed_gives_the_same_interval() -> None:
    arguments = samples(1, 4e-3), samples(2, 1e-3)

    assert median_ratio(*arguments, seed=3) == median_ratio(*arguments, seed=3) != median_ratio(*arguments)
    assert median_ratio(*arguments) == median_ratio(*arguments, seed=0)
    assert median_interval(arguments[0]) == median_interval(arguments[0], seed=0)
    assert median_interval(arguments[0]) != median_interval(arguments[0], seed=1)
    assert median_ratio(*arguments).value == statistics.median(arguments[0]) / statistics.median(arguments[1])


def test_a_figure_is_the_median_of_its_series_with_an_interval() -> None:
    series = Series(strategy="mine", case="keys_10", name="memory", unit="bytes", values=(5, 1, 3, 4, 2, 9))

    figure = median_figure(series, seed=0)

    assert (figure.path, figure.value, figure.unit) == ("mine.keys_10.memory", 3.5, "bytes")
    assert 1 <= (figure.low or 0) < 3.5 < (figure.high or 0) <= 9
    assert figure.series == "memory"


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_figure_of_few_samples_has_no_interval(better: Better) -> None:
    series = Series(strategy="mine", case="w1c1", name="rate", unit="1/s", values=(5, 1))

    figure = median_figure(series, better=better)

    assert (figure.value, figure.low, figure.high, figure.better) == (3, None, None, better)
