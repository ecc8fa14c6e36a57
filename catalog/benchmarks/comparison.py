"""What changed from an older run to a newer one, and whether that is more than chance.

Two runs on one machine at two moments differ by more than their samples say: the machine was busier,
or cooler. So times are compared in floors, that is divided by the median of the same run's
floor-get, for the same case (or for a hit, where a case has no floor), which takes the machine out.
A change counts as significant where

- the whole 99 % interval of the change, by the bootstrap (Efron and Tibshirani, An Introduction to
  the Bootstrap, 1993, chapter 13) over the samples of both runs and of both floors, is beyond a
  tenth, which two runs of one commit do not differ by as a rule; or
- the figure has no samples, and a 95 % interval in each run, and these do not touch; or
- the figure counts a fault, and it was there in one run and not in the other.

Extremes, such as a maximum, are not tested: resampling says nothing about them. Nor is floor-get, by
which the others are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from catalog.benchmarks.quantities import say
from catalog.benchmarks.results import Change, ExperimentResult, Figure, Run
from catalog.benchmarks.strategies import FLOOR_WITH_GET
from catalog.benchmarks.tables import Cell, Table

LEAST_CHANGE = 0.1
INTERVAL_PERCENTILES = (0.5, 99.5)
RESAMPLES = 1000
FEWEST_SAMPLES = 5
UNTESTED = ("min", "max", "stdev", "p99")
HIT = "hit"
# How a figure is made of its samples, if not as their median.
STATISTICS: dict[str, Callable[..., Any]] = {
    "p95": partial(np.percentile, q=95),
    "mean": np.mean,
    "requests_per_second": lambda samples, axis: 1 / np.mean(samples, axis=axis),
}


def compare_runs(old: Run, new: Run) -> list[Change]:
    """A change for each figure that both runs have, in the newer one's order.

    Experiments that were done with other parameters are left out.
    """
    return list(_changes(old, new))


def comparison_table(changes: Sequence[Change]) -> Table:
    """The significant changes, each marked as better or worse."""
    rows = [
        (
            Cell(change.experiment),
            Cell(change.path),
            Cell(say(change.before, change.unit)),
            Cell(say(change.now, change.unit)),
            Cell(
                "new" if change.relative is None else f"{change.relative:+.0%}",
                "best" if change.is_better else "bad",
            ),
        )
        for change in changes
        if change.is_significant
    ]
    return Table(
        title="Significant changes",
        heads=("experiment", "figure", "before", "now", "change"),
        rows=tuple(rows),
        words=2,
        legend="Times change in floors, that is compared with the same run's floor-get.",
    )


def comparison_verdict(changes: Sequence[Change]) -> str:
    if not changes:
        return "The two runs have no figure in common."
    found = [change for change in changes if change.is_significant]
    if not found:
        return f"No significant change in any of {len(changes)} figures."
    worse = sum(not change.is_better for change in found)
    return (
        f"{len(found)} of {len(changes)} figures changed significantly, {worse} of them for the worse; "
        "no significant change in the others."
    )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A figure with the run and the experiment it is of."""

    run: Run
    result: ExperimentResult
    figure: Figure

    @property
    def samples(self) -> tuple[float, ...]:
        if self.figure.series is None:
            return ()
        return self.result.samples(self.figure.strategy, self.figure.case, self.figure.series)

    @property
    def floor(self) -> _Measured | None:
        """The floor of a time, if it has one."""
        if self.figure.unit != "s":
            return None
        candidates = [(self.result, self.figure.case), *((each, HIT) for each in self.run.experiments)]
        for result, case in candidates:
            if (found := result.figure(FLOOR_WITH_GET.name, case, "p50")) and found.value:
                return _Measured(run=self.run, result=result, figure=found)
        return None

    @property
    def floor_value(self) -> float:
        return (self.floor.figure.value if self.floor else None) or 1.0

    def resampled(self) -> Any:
        """The figure as it could as well have been, in floors: an array of so many values."""
        chance = np.random.default_rng(self.run.seed)
        samples = np.asarray(self.samples)
        drawn = samples[chance.integers(0, len(samples), (RESAMPLES, len(samples)))]
        figures = STATISTICS.get(self.figure.name, np.median)(drawn, axis=1)
        is_its_own_floor = self.figure.strategy == FLOOR_WITH_GET.name
        return figures if is_its_own_floor or not self.floor else figures / self.floor.resampled()


def _changes(old: Run, new: Run) -> Iterator[Change]:
    before = {result.experiment: result for result in old.experiments}
    for result in new.experiments:
        earlier = before.get(result.experiment)
        if earlier is None or earlier.parameters != result.parameters:
            continue
        figures = {figure.path: figure for figure in earlier.figures}
        for figure in result.figures:
            if figure.path in figures:
                yield _change(
                    _Measured(run=old, result=earlier, figure=figures[figure.path]),
                    _Measured(run=new, result=result, figure=figure),
                )


def _change(old: _Measured, new: _Measured) -> Change:
    relative = None
    if old.figure.value and new.figure.value is not None:
        relative = (new.figure.value / new.floor_value) / (old.figure.value / old.floor_value) - 1
    return Change(
        experiment=new.result.experiment,
        path=new.figure.path,
        unit=new.figure.unit,
        before=old.figure.value,
        now=new.figure.value,
        relative=relative,
        is_significant=_is_significant(old, new),
        is_better=_is_better(old.figure, new.figure, relative),
    )


def _is_significant(old: _Measured, new: _Measured) -> bool:
    if old.figure.value is None or new.figure.value is None or new.figure.better == "neither":
        return False
    if min(len(old.samples), len(new.samples)) < FEWEST_SAMPLES:
        return _differ(old.figure, new.figure)
    if new.figure.name in UNTESTED or new.figure.strategy == FLOOR_WITH_GET.name:
        return False
    low, high = np.percentile(new.resampled() / old.resampled(), INTERVAL_PERCENTILES)
    return bool(low > 1 + LEAST_CHANGE or high < 1 / (1 + LEAST_CHANGE))


def _differ(old: Figure, new: Figure) -> bool:
    """Without samples: by their intervals, or by a fault that came or went."""
    if old.low is not None and old.high is not None and new.low is not None and new.high is not None:
        return old.high < new.low or new.high < old.low
    return new.unit == "count" and new.better == "lower" and bool(old.value) != bool(new.value)


def _is_better(old: Figure, new: Figure, relative: float | None) -> bool:
    grew = relative > 0 if relative is not None else (new.value or 0) > (old.value or 0)
    return grew == (new.better == "higher")
