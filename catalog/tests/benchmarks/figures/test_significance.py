"""Two runs with a planted change, on either side of each limit of significance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from catalog.benchmarks.figures.comparison import (
    _is_beyond,
    compare_runs,
    comparison_table,
    comparison_verdict,
)
from catalog.benchmarks.figures.results import Change, Environment, ExperimentResult, Figure, Run, Series

ENVIRONMENT = Environment(cpu="A CPU", cores=2, system="Linux", versions={})


def samples(factor: float = 1, *, count: int = 60, sigma: float = 0.3) -> tuple[float, ...]:
    chance = random.Random(5)
    return tuple(factor * chance.lognormvariate(0, sigma) for _ in range(count))


def figure(value: float | None, **fields: Any) -> Figure:
    given: dict[str, Any] = {"strategy": "mine", "case": "hit", "name": "p50", "unit": "s", **fields}
    return Figure(value=value, **given)


def sampled(values: Sequence[float], **fields: Any) -> tuple[Figure, Series]:
    made = figure(float(np.median(values)), series="time", **fields)
    series = Series(strategy=made.strategy, case=made.case, name="time", unit=made.unit, values=tuple(values))
    return made, series


def run(*figures: Figure | tuple[Figure, Series], seed: int = 0) -> Run:
    pairs = [each if isinstance(each, tuple) else (each, None) for each in figures]
    result = ExperimentResult(
        experiment="latency",
        parameters={},
        figures=tuple(made for made, _ in pairs),
        series=tuple(series for _, series in pairs if series),
    )
    return Run(
        path="/products/",
        seed=seed,
        effort="quick",
        products=5,
        simulated_latency_seconds=0.0,
        environment=ENVIRONMENT,
        strategies=(),
        experiments=(result,),
    )


def change(old: Any, new: Any) -> Change:
    """The change of the first figure. The two runs have different seeds, so they resample independently."""
    return compare_runs(run(*old, seed=1), run(*new, seed=0))[0]


@pytest.mark.parametrize(
    ("factor", "is_significant"),
    # A 98 % interval would make the second and the third significant, and an 80 % interval all of them.
    [(1.25, False), (1.33, False), (0.76, False), (1.34, True), (0.745, True)],
)
def test_the_interval_of_a_change_covers_99_percent(factor: float, is_significant: bool) -> None:
    found = change([sampled(samples())], [sampled(samples(factor))])

    assert found.is_significant is is_significant
    assert found.is_better is (factor < 1)
    assert found.relative == pytest.approx(factor - 1)


@pytest.mark.parametrize(
    ("low", "high", "is_beyond"),
    [
        (1.1, 9, False),
        (1.1001, 9, True),
        (0.9, 9, False),
        (0.1, 1 / 1.1, False),
        (0.1, 0.909, True),
        (0.1, 1.2, False),
    ],
)
def test_a_change_of_exactly_a_tenth_is_not_significant(low: float, high: float, is_beyond: bool) -> None:
    assert _is_beyond(low, high) is is_beyond


@pytest.mark.parametrize(("count", "is_significant"), [(7, False), (8, True)])
def test_eight_samples_are_enough(count: int, is_significant: bool) -> None:
    enough, some = samples(count=60), samples(3, count=count)

    assert change([sampled(enough)], [sampled(some)]).is_significant is is_significant
    assert change([sampled(some)], [sampled(enough)]).is_significant is is_significant


@pytest.mark.parametrize("name", ["min", "max", "stdev", "p99"])
def test_minimum_and_maximum_are_not_tested(name: str) -> None:
    assert not change([sampled(samples(), name=name)], [sampled(samples(9), name=name)]).is_significant


@pytest.mark.parametrize(
    ("name", "is_significant"), [("p50", False), ("p95", True), ("mean", True), ("requests_per_second", True)]
)
def test_each_figure_is_resampled_by_its_own_statistic(name: str, is_significant: bool) -> None:
    """In the newer run one request of ten takes fifty times as long, which a median does not show."""
    old = samples(count=200, sigma=0.02)
    new = tuple(50 * each if place % 10 == 0 else each for place, each in enumerate(old))

    assert change([sampled(old, name=name)], [sampled(new, name=name)]).is_significant is is_significant


@pytest.mark.parametrize("name", ["p50", "p95", "mean"])
def test_a_rate_that_falls_is_worse_and_a_time_that_falls_is_better(name: str) -> None:
    fell = [sampled(samples(), name=name)], [sampled(samples(0.5), name=name)]
    rate: dict[str, Any] = {"name": name, "unit": "1/s", "better": "higher"}
    rate_fell = [sampled(samples(), **rate)], [sampled(samples(0.5), **rate)]

    assert (change(*fell).is_significant, change(*fell).is_better) == (True, True)
    assert (change(*rate_fell).is_significant, change(*rate_fell).is_better) == (True, False)


def test_a_figure_without_a_better_direction_is_not_tested() -> None:
    found = change([sampled(samples(), better="neither")], [sampled(samples(9), better="neither")])

    assert not found.is_significant


# The reference


@pytest.mark.parametrize("reference", ["floor-get", "uncached"])
def test_a_time_is_also_compared_relative_to_its_reference(reference: str) -> None:
    """On a slower machine both the time and the reference change."""
    old, new = sampled(samples()), sampled(samples(3))

    slower = change(
        [old, sampled(samples(), strategy=reference)], [new, sampled(samples(3), strategy=reference)]
    )
    grown = change(
        [old, sampled(samples(), strategy=reference)], [new, sampled(samples(), strategy=reference)]
    )

    assert [slower.is_significant, grown.is_significant] == [False, True]
    assert [slower.relative, grown.relative] == pytest.approx([0, 2])


def test_the_floor_is_the_preferred_reference() -> None:
    floor, uncached = sampled(samples(), strategy="floor-get"), sampled(samples(), strategy="uncached")
    slow_floor = sampled(samples(3), strategy="floor-get")
    slow_uncached = sampled(samples(3), strategy="uncached")

    by_floor = change([sampled(samples()), floor, uncached], [sampled(samples(3)), slow_floor, uncached])
    by_uncached = change([sampled(samples()), floor, uncached], [sampled(samples(3)), floor, slow_uncached])

    assert by_floor.relative == pytest.approx(0)
    assert by_uncached.relative == pytest.approx(2)


@pytest.mark.parametrize("fields", [{"case": "mix"}, {"name": "p95"}, {"strategy": "floor"}])
def test_a_reference_has_the_same_case_and_name(
    fields: dict[str, str],
) -> None:
    other = {"strategy": "floor-get", **fields}
    old = [sampled(samples()), figure(1, **other)]
    new = [sampled(samples(3)), figure(3, **other)]

    assert change(old, new).relative == pytest.approx(2)


def test_a_reference_of_zero_is_skipped() -> None:
    none, uncached = figure(0, strategy="floor-get"), figure(1, strategy="uncached")

    found = change([figure(2), none, uncached], [figure(6), none, figure(3, strategy="uncached")])

    assert found.relative == pytest.approx(0)


@pytest.mark.parametrize("unit", ["bytes", "ratio", "share"])
def test_only_times_and_rates_have_a_reference(unit: str) -> None:
    old = [figure(1, unit=unit), figure(1, unit=unit, strategy="floor-get")]
    new = [figure(2, unit=unit), figure(2, unit=unit, strategy="floor-get")]

    assert change(old, new).relative == 1


@pytest.mark.parametrize("strategy", ["floor-get", "uncached"])
def test_a_reference_itself_is_not_tested(strategy: str) -> None:
    old, new = sampled(samples(), strategy=strategy), sampled(samples(9), strategy=strategy)

    assert not change([old], [new]).is_significant


# Figures without samples


@pytest.mark.parametrize(
    ("old", "new", "is_significant", "is_better"),
    [
        (0, 1, True, False),
        (1, 0, True, True),
        (0, 0, False, False),
        (1, 2, False, False),
    ],
)
def test_one_fault_more_than_none_is_significant(
    old: float, new: float, is_significant: bool, is_better: bool
) -> None:
    found = change([figure(old, unit="count")], [figure(new, unit="count")])

    assert (found.is_significant, found.is_better) == (is_significant, is_better or old == new)


@pytest.mark.parametrize("fields", [{"unit": "count", "better": "higher"}, {"unit": "s"}, {"unit": "share"}])
def test_a_figure_that_is_not_a_fault_may_appear_and_disappear(fields: dict[str, str]) -> None:
    assert not change([figure(0, **fields)], [figure(1, **fields)]).is_significant


def test_a_change_from_zero_has_no_percentage() -> None:
    [row] = comparison_table(
        [change([figure(0, unit="count", name="stale")], [figure(3, unit="count", name="stale")])]
    ).rows

    assert [cell.text for cell in row] == ["latency", "mine.hit.stale", "0", "3", "new"]
    assert row[-1].rating == "bad"


@pytest.mark.parametrize(
    ("old", "new", "is_significant"),
    [
        ((1.0, 0.9, 1.1), (2.0, 1.9, 2.1), True),
        ((2.0, 1.9, 2.1), (1.0, 0.9, 1.1), True),
        # The intervals share a limit.
        ((1.0, 0.9, 1.9), (2.0, 1.9, 2.1), False),
        ((2.0, 1.9, 2.1), (1.0, 0.9, 1.9), False),
        # The intervals do not overlap, but the change is less than a tenth.
        ((1.0, 0.99, 1.01), (1.09, 1.08, 1.1), False),
        ((1.0, 0.99, 1.01), (1.11, 1.1, 1.12), True),
        ((1.0, None, 1.1), (2.0, 1.9, 2.1), False),
        ((1.0, 0.9, None), (2.0, 1.9, 2.1), False),
        ((1.0, 0.9, 1.1), (2.0, None, 2.1), False),
        ((1.0, 0.9, 1.1), (2.0, 1.9, None), False),
        ((0.0, 0.0, 0.0), (2.0, 1.9, 2.1), False),
        ((2.0, 1.9, 2.1), (0.0, 0.0, 0.0), False),
    ],
)
def test_intervals_that_do_not_overlap_make_a_change_of_a_tenth_significant(
    old: Any, new: Any, is_significant: bool
) -> None:
    def made(limits: tuple[float, float | None, float | None]) -> Figure:
        value, low, high = limits
        return figure(value, low=low, high=high, unit="ratio")

    assert change([made(old)], [made(new)]).is_significant is is_significant


def test_intervals_are_also_compared_relative_to_the_reference() -> None:
    """Everything takes twice as long on a machine that is twice as slow."""
    old = [figure(1, low=0.9, high=1.1), figure(1, strategy="floor-get")]
    new = [figure(2, low=1.9, high=2.1), figure(2, strategy="floor-get")]

    assert not change(old, new).is_significant


@pytest.mark.parametrize(("old", "new"), [(None, 5), (5, None)])
def test_a_figure_of_only_one_run_has_not_changed(old: float | None, new: float | None) -> None:
    found = change([figure(old, unit="count")], [figure(new, unit="count")])

    assert (found.is_significant, found.relative) == (False, None)
    assert (found.before, found.now) == (old, new)


def test_the_verdict_counts_the_figures_that_became_worse() -> None:
    faults = {"unit": "count", "strategy": "mine"}
    old = run(
        *(figure(value, name=name, **faults) for name, value in (("a", 0), ("b", 0), ("c", 1), ("d", 1)))
    )
    new = run(
        *(figure(value, name=name, **faults) for name, value in (("a", 1), ("b", 2), ("c", 0), ("d", 1)))
    )

    changes = compare_runs(old, new)

    assert comparison_verdict(changes) == (
        "3 of 4 figures changed significantly, 2 of them for the worse. "
        "The others show no significant change."
    )
    marks = {row[1].text: row[-1].rating for row in comparison_table(changes).rows}
    assert marks == {"mine.hit.a": "bad", "mine.hit.b": "bad", "mine.hit.c": "best"}
