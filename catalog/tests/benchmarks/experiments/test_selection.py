"""The selection of experiments, which of them write, and how long they take."""

from __future__ import annotations

import pytest

from catalog.benchmarks.experiments.selection import EXPERIMENTS, estimate_seconds, select_experiments
from catalog.benchmarks.options import Effort, Options
from catalog.benchmarks.processes import LIMIT_SECONDS
from catalog.benchmarks.run import writing_experiments
from catalog.benchmarks.strategies.registry import READ_CACHE, STRATEGIES, UNCACHED
from catalog.options import InvalidOption


def test_the_experiments_that_write_to_the_database_are_known() -> None:
    """These experiments refuse a database on another machine."""
    assert set(writing_experiments(["all"])) == {"invalidation", "freshness", "leak", "outage", "growth"}
    assert writing_experiments(["latency", "throughput", "stampede"]) == []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_more_effort_takes_longer_and_so_do_more_strategies(name: str) -> None:
    few, more = (UNCACHED,), (UNCACHED, READ_CACHE)

    quick, normal, thorough = (
        estimate_seconds(name, Options(strategies=more, effort=effort)) for effort in Effort
    )

    # The leak experiment does the same at every effort.
    assert 0 < quick <= normal <= thorough
    assert (quick == thorough) is (name == "leak")
    assert estimate_seconds(name, Options(strategies=few, effort=Effort.QUICK)) == quick / 2


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_servers_live_longer_than_the_longest_experiment(name: str) -> None:
    options = Options(strategies=tuple(STRATEGIES.values()), effort=Effort.THOROUGH)

    # Also on a machine that is five times as slow as the one of the estimates.
    assert 5 * estimate_seconds(name, options) < LIMIT_SECONDS


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], ["latency", "invalidation"]),
        (["growth", "latency"], ["latency", "growth"]),
        (["leak", "leak"], ["leak"]),
        (["latency", "all"], list(EXPERIMENTS)),
    ],
)
def test_experiments_are_chosen_in_their_own_order(names: list[str], chosen: list[str]) -> None:
    assert select_experiments(names) == chosen


def test_an_unknown_experiment_is_named() -> None:
    with pytest.raises(InvalidOption, match=r"EXPERIMENT must be one of latency, .*, all, got 'speed'\."):
        select_experiments(["latency", "speed"])
