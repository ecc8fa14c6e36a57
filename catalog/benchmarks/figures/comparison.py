"""What changed from an older run to a newer one, and which changes are more than chance.

Two runs on one machine differ by more than their samples suggest, because the machine may have been
busier during one of them. So a time or a rate is compared twice: as it is, and relative to the same
figure of a reference that the same run measured by turns with it. The reference is floor-get or, in
cases without floor-get, uncached. A change counts as significant if one of these holds:

- Both comparisons give a whole 99 % interval of the change that lies beyond a tenth, in the same
  direction. The interval is a bootstrap over all samples (Efron and Tibshirani, An Introduction to the
  Bootstrap, 1993, chapter 13). A slower machine changes only the first comparison; a time that does
  not depend on the machine changes only the second.
- The figure has few samples or none, its 95 % intervals in the two runs do not overlap, and both
  comparisons give a change of more than a tenth.
- The figure counts a fault, and only one of the two runs has that fault.

Extremes such as a maximum are not tested, because resampling says nothing about them. A change of a
reference is never significant, because relative to itself a reference does not change.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from catalog.benchmarks.figures.names import FLOOR_WITH_GET, UNCACHED
from catalog.benchmarks.figures.results import Cell, Change, ExperimentResult, Figure, Run, Table
from catalog.benchmarks.figures.sentences import method_of
from catalog.benchmarks.figures.units import say

LEAST_CHANGE = 0.1
INTERVAL_PERCENTILES = (0.5, 99.5)
RESAMPLES = 1000
# The median of a distribution lies between the extremes of seven samples in only 98 % of cases.
FEWEST_SAMPLES = 8
UNTESTED = ("min", "max", "stdev", "p99")
REFERENCES = (FLOOR_WITH_GET, UNCACHED)
# How a figure is computed from its samples, if not as their median.
STATISTICS: dict[str, Callable[..., Any]] = {
    "p95": partial(np.percentile, q=95),
    "mean": np.mean,
    "requests_per_second": lambda samples, axis: 1 / np.mean(samples, axis=axis),
}


def compare_runs(old: Run, new: Run) -> list[Change]:
    """A change for each figure that both runs have, in the newer run's order.

    Leaves out experiments that the two runs did with different parameters.
    """
    return list(_changes(old, new))


def differences(old: Run, new: Run) -> list[str]:
    """The reasons, one sentence each, to doubt that a change comes from the code."""
    found = []
    before, now = old.conditions, new.conditions
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if names:
        differ = (f"{name} {before.get(name, 'none')} then, {now.get(name, 'none')} now" for name in names)
        found.append(f"The older run was made under other conditions: {'; '.join(differ)}.")
    parameters = {result.experiment: result.parameters for result in old.experiments}
    others = [
        each.experiment for each in new.experiments if parameters.get(each.experiment) != each.parameters
    ]
    if others:
        reason = "the older run lacks it or did it with other parameters"
        found.append(f"Not compared, because {reason}: {', '.join(others)}.")
    return found


def comparison_result(changes: Sequence[Change]) -> ExperimentResult:
    """The changes in the form of an experiment's result, so that reports show both alike."""
    table = comparison_table(changes)
    return ExperimentResult(
        experiment="comparison",
        parameters={},
        figures=(),
        question="What has changed since the older run?",
        method=method_of(sys.modules[__name__]),
        tables=(table,) if table.rows else (),
        verdicts=(comparison_verdict(changes),),
    )


def comparison_table(changes: Sequence[Change]) -> Table:
    """The significant changes, each rated as better or worse."""
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
        legend=(
            "The change of a time or a rate is relative to floor-get of the same run or, if there is no "
            "floor-get, to uncached."
        ),
    )


def comparison_verdict(changes: Sequence[Change]) -> str:
    if not changes:
        return "The two runs have no figure in common."
    found = [change for change in changes if change.is_significant]
    if not found:
        return f"No significant change in any of {len(changes)} figures."
    worse = sum(not change.is_better for change in found)
    return (
        f"{len(found)} of {len(changes)} figures changed significantly, {worse} of them for the worse. "
        "The others show no significant change."
    )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A figure with the run and the experiment that it belongs to."""

    run: Run
    result: ExperimentResult
    figure: Figure

    @property
    def samples(self) -> tuple[float, ...]:
        if self.figure.series is None:
            return ()
        return self.result.samples(self.figure.strategy, self.figure.case, self.figure.series)

    @property
    def reference(self) -> _Measured | None:
        """The figure that a time or a rate is compared with; ``None`` for other units or without one."""
        if self.figure.unit not in ("s", "1/s"):
            return None
        for strategy in REFERENCES:
            found = self.result.figure(strategy, self.figure.case, self.figure.name)
            if found and found.value:
                return _Measured(run=self.run, result=self.result, figure=found)
        return None

    def value_by_reference(self) -> float:
        reference = self.reference.figure.value if self.reference else None
        return (self.figure.value or 0) / (reference or 1)

    def resampled(self) -> Any:
        """``RESAMPLES`` values of the figure, each computed from samples drawn with replacement."""
        chance = np.random.default_rng(self.run.seed)
        samples = np.asarray(self.samples)
        drawn = samples[chance.integers(0, len(samples), (RESAMPLES, len(samples)))]
        return STATISTICS.get(self.figure.name, np.median)(drawn, axis=1)

    def resampled_by_reference(self) -> Any:
        reference = self.reference
        return self.resampled() / (reference.resampled() if reference and reference.samples else 1)


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
        relative = new.value_by_reference() / old.value_by_reference() - 1
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
        is_fault = new.figure.unit == "count" and new.figure.better == "lower"
        return (is_fault and bool(old.figure.value) != bool(new.figure.value)) or _intervals_differ(old, new)
    if new.figure.name in UNTESTED:
        return False
    quotients = (
        new.resampled() / old.resampled(),
        new.resampled_by_reference() / old.resampled_by_reference(),
    )
    lows, highs = zip(*(np.percentile(each, INTERVAL_PERCENTILES) for each in quotients), strict=True)
    return _is_beyond(min(lows), max(highs))


def _is_beyond(low: float, high: float) -> bool:
    """Whether every quotient between these limits is a change beyond a tenth in the same direction."""
    # JSON cannot encode NumPy's booleans.
    return bool(low > 1 + LEAST_CHANGE or high < 1 / (1 + LEAST_CHANGE))


def _intervals_differ(old: _Measured, new: _Measured) -> bool:
    limits = (old.figure.low, old.figure.high, new.figure.low, new.figure.high)
    if None in limits or not old.figure.value or not new.figure.value:
        return False
    if old.figure.high >= new.figure.low and new.figure.high >= old.figure.low:  # type: ignore[operator]
        return False
    quotients = (
        new.figure.value / old.figure.value,
        new.value_by_reference() / old.value_by_reference(),
    )
    return _is_beyond(min(quotients), max(quotients))


def _is_better(old: Figure, new: Figure, relative: float | None) -> bool:
    grew = relative > 0 if relative is not None else (new.value or 0) > (old.value or 0)
    return grew == (new.better == "higher")
