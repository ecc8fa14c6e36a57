from __future__ import annotations

import math
import random

import pytest
from scipy.stats import theilslopes

from catalog.benchmarks.experiments.growth.figures import fit_slope, grows
from catalog.benchmarks.figures.statistics import Interval

SIZES = (1_000, 10_000, 100_000)


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 2])
def test_the_slope_is_the_exponent_of_a_power(exponent: float) -> None:
    chance = random.Random(0)
    samples = {size: [7e-6 * size**exponent * chance.uniform(0.9, 1.1) for _ in range(10)] for size in SIZES}

    slope = fit_slope(samples)

    assert slope is not None
    assert slope.value == pytest.approx(exponent, abs=0.02)
    assert slope.low is not None
    assert slope.high is not None
    assert slope.low <= exponent <= slope.high
    assert slope.high - slope.low < 0.1


def test_a_few_outliers_do_not_move_the_slope() -> None:
    samples = {size: [1e-3] * 8 for size in SIZES}
    samples[SIZES[-1]][0] = samples[SIZES[-1]][1] = 30.0

    slope = fit_slope(samples)

    assert slope is not None
    assert slope.value == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("samples", [{}, {1_000: [1.0, 2.0]}, {1_000: [1.0], 10_000: []}])
def test_one_size_has_no_slope(samples: dict[int, list[float]]) -> None:
    assert fit_slope(samples) is None


def test_two_sizes_are_enough() -> None:
    assert fit_slope({100: [1.0], 10_000: [10.0]}) == Interval(value=0.5, low=0.5, high=0.5)


def test_equal_samples_have_a_slope_without_an_interval() -> None:
    assert fit_slope(dict.fromkeys(SIZES, [5.0] * 3)) == Interval(value=0, low=None, high=None)


def test_samples_of_zero_or_less_are_left_out() -> None:
    """An invalidation may take less time than the clock can measure."""
    assert fit_slope({100: [1.0, 0.0], 10_000: [10.0, -1.0]}) == fit_slope({100: [1.0], 10_000: [10.0]})


def test_the_interval_is_the_95_percent_interval_of_theil_and_sen() -> None:
    chance = random.Random(0)
    samples = {size: [size * chance.uniform(0.5, 1.5) for _ in range(10)] for size in SIZES}
    points = [(math.log10(size), math.log10(each)) for size, values in samples.items() for each in values]
    expected = theilslopes([y for _, y in points], [x for x, _ in points], 0.95)

    slope = fit_slope(samples)

    assert slope is not None
    assert (slope.value, slope.low, slope.high) == pytest.approx(expected[:1] + expected[2:])


@pytest.mark.parametrize(
    ("slope", "low", "words"),
    [
        (-0.2, -0.3, "does not grow"),
        (0.05, 0.01, "does not grow"),
        (0.15, 0.1, "does not grow"),
        (0.16, 0.1, "grows less than linearly"),
        (0.4, 0.0, "shows no significant growth"),
        (0.4, -0.2, "shows no significant growth"),
        (0.4, None, "shows no significant growth"),
        (0.5, 0.4, "grows less than linearly"),
        (0.79, 0.7, "grows less than linearly"),
        (0.8, 0.7, "grows linearly"),
        (0.97, 0.9, "grows linearly"),
        (1.2, 1.1, "grows linearly"),
        (1.21, 1.1, "grows faster than linearly"),
        (1.9, 1.8, "grows faster than linearly"),
    ],
)
def test_a_slope_is_described_in_words(slope: float, low: float | None, words: str) -> None:
    assert grows(slope, low) == words
