from __future__ import annotations

import random

import pytest

from catalog.benchmarks.experiments.growth.fits import fit_slope, grows

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


@pytest.mark.parametrize(
    ("slope", "low", "words"),
    [
        (-0.2, -0.3, "does not grow"),
        (0.05, 0.01, "does not grow"),
        (0.4, -0.2, "shows no significant growth"),
        (0.4, None, "shows no significant growth"),
        (0.5, 0.4, "grows less than linearly"),
        (0.97, 0.9, "grows linearly"),
        (1.9, 1.8, "grows faster than linearly"),
    ],
)
def test_a_slope_is_put_in_words(slope: float, low: float | None, words: str) -> None:
    assert grows(slope, low) == words
