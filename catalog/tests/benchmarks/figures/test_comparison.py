import random
from dataclasses import replace
from typing import Any

import pytest

from catalog.benchmarks.figures.comparison import (
    compare_runs,
    comparison_table,
    comparison_verdict,
    differences,
)
from catalog.benchmarks.figures.results import Change, Environment, ExperimentResult, Figure, Run, Series
from catalog.benchmarks.figures.statistics import summarise

SAMPLES = 200


def make_run(
    *,
    seed: int = 0,
    machine: float = 1.0,
    hit: float = 2e-3,
    stale: int = 0,
    share: tuple[float, float, float] = (0.8, 0.7, 0.9),
    parameters: Any = None,
) -> Run:
    """A run on a machine that is slower by the factor ``machine``."""
    chance = random.Random(seed)
    figures, series = [], []
    for strategy, mean in (("floor-get", 1e-3), ("readcache", hit)):
        values = tuple(machine * mean * chance.lognormvariate(0, 0.2) for _ in range(SAMPLES))
        summary = summarise(values)
        series.append(Series(strategy=strategy, case="hit", name="time", unit="s", values=values))
        for name in ("p50", "p95", "max"):
            value = getattr(summary, name)
            figures.append(
                Figure(strategy=strategy, case="hit", name=name, value=value, unit="s", series="time")
            )
    value, low, high = share
    figures += [
        Figure(strategy="readcache", case="hit", name="stale", value=stale, unit="count"),
        Figure(
            strategy="readcache",
            case="hit",
            name="share",
            value=value,
            low=low,
            high=high,
            unit="share",
            better="higher",
        ),
    ]
    result = ExperimentResult(
        experiment="latency", parameters=parameters or {}, figures=tuple(figures), series=tuple(series)
    )
    return Run(
        path="/products/",
        seed=seed,
        effort="quick",
        products=5,
        simulated_latency_seconds=0.0,
        environment=Environment(cpu="A CPU", cores=2, system="Linux", versions={}),
        strategies=(),
        experiments=(result,),
    )


def significant(changes: list[Change]) -> set[str]:
    return {change.path for change in changes if change.is_significant}


@pytest.mark.parametrize("machine", [1.0, 3.0, 0.2])
def test_equal_runs_do_not_differ_even_on_a_faster_machine(machine: float) -> None:
    for seed in range(20):
        changes = compare_runs(make_run(seed=2 * seed), make_run(seed=2 * seed + 1, machine=machine))

        assert significant(changes) == set()
        assert comparison_verdict(changes) == "No significant change in any of 8 figures."
        assert comparison_table(changes).rows == ()


@pytest.mark.parametrize(
    ("machine", "factor", "mark", "percent"),
    [
        (1.0, 1.5, "bad", 0.5),
        (3.0, 1.5, "bad", 0.5),
        (1.0, 0.6, "best", -0.4),
        (0.3, 0.6, "best", -0.4),
    ],
)
def test_slower_and_faster_figures_are_found(
    machine: float, factor: float, mark: str, percent: float
) -> None:
    changes = compare_runs(make_run(seed=1), make_run(seed=2, machine=machine, hit=2e-3 * factor))

    assert significant(changes) == {"readcache.hit.p50", "readcache.hit.p95"}
    median = next(change for change in changes if change.path == "readcache.hit.p50")
    assert median.relative == pytest.approx(percent, abs=0.1)
    assert {row[-1].rating for row in comparison_table(changes).rows} == {mark}


@pytest.mark.parametrize(("machine", "factor"), [(3.0, 0.6), (0.3, 1.5)])
def test_a_change_relative_to_the_reference_alone_is_not_significant(machine: float, factor: float) -> None:
    """A time that does not depend on the machine changes relative to the reference."""
    changes = compare_runs(make_run(seed=1), make_run(seed=2, machine=machine, hit=2e-3 * factor))

    assert significant(changes) == set()


def test_a_small_change_is_not_significant() -> None:
    changes = compare_runs(make_run(seed=1), make_run(seed=1, hit=2.1e-3))

    assert significant(changes) == set()


@pytest.mark.parametrize(("old", "new", "mark"), [(0, 3, "bad"), (3, 0, "best")])
def test_a_fault_that_appears_or_disappears_is_significant(old: int, new: int, mark: str) -> None:
    changes = compare_runs(make_run(stale=old), make_run(stale=new))

    assert significant(changes) == {"readcache.hit.stale"}
    assert [row[-1].rating for row in comparison_table(changes).rows] == [mark]
    assert comparison_verdict(changes).startswith("1 of 8 figures changed significantly")


def test_another_number_of_faults_is_not_significant() -> None:
    assert significant(compare_runs(make_run(stale=30), make_run(stale=40))) == set()


@pytest.mark.parametrize(
    ("share", "differs"), [((0.5, 0.4, 0.6), True), ((0.75, 0.65, 0.85), False), ((0.95, 0.92, 0.98), True)]
)
def test_intervals_that_do_not_overlap_are_significant(
    share: tuple[float, float, float], differs: bool
) -> None:
    assert bool(significant(compare_runs(make_run(), make_run(share=share)))) is differs


def test_figures_with_other_parameters_are_not_compared() -> None:
    assert compare_runs(make_run(parameters={"requests": 1}), make_run(parameters={"requests": 2})) == []
    assert comparison_verdict([]) == "The two runs have no figure in common."


def test_figures_of_only_one_run_are_left_out_and_unmeasured_ones_are_not_tested() -> None:
    old, new = make_run(), make_run()
    [result] = new.experiments
    unmeasured = tuple(replace(figure, value=None) for figure in result.figures[:4])
    shorter = replace(new, experiments=(replace(result, figures=unmeasured),))

    changes = compare_runs(old, shorter)

    assert len(changes) == 4
    assert significant(changes) == set()


def test_other_differences_between_two_runs_are_reported() -> None:
    old, new = make_run(seed=1), make_run(seed=2)
    assert differences(old, new) == []

    versions = {"python": "3.13.0", "redis": "7.0.0"}
    elsewhere = replace(old.environment, cores=96, versions=versions)
    result = replace(old.experiments[0], parameters={"requests": 9})
    old = replace(old, products=7, environment=elsewhere, experiments=(result,))
    [conditions, left_out] = differences(old, new)

    for part in (
        "products 7 then, 5 now",
        "cores 96 then, ",
        "python 3.13.0 then, ",
        "redis 7.0.0 then, none now",
    ):
        assert part in conditions
    assert left_out.endswith(f"with other parameters: {result.experiment}.")
