"""The results of experiments: figures, the samples behind them, tables, and sentences.

Every experiment uses these classes, so one report, one export, one comparison and one grammar of
gates serve all of them. A result carries everything that a report shows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

# Seconds, per second, bytes, a number of things, a part of one, and a number without a unit.
Unit = Literal["s", "1/s", "bytes", "count", "share", "ratio"]
Better = Literal["lower", "higher", "neither"]
Rating = Literal["", "best", "bad"]
SIGNS: dict[Rating, str] = {"": "", "best": "*", "bad": "!"}


@dataclass(frozen=True, kw_only=True)
class Series:
    """Every sample of one strategy in one case, in the order in which the samples were taken."""

    strategy: str
    case: str
    name: str
    unit: Unit
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number for one strategy in one case, such as the median time of a hit.

    ``value`` is ``None`` if it could not be measured. ``low`` and ``high`` are the ends of its 95 %
    confidence interval, if it has one. ``series`` names the samples, of the same strategy and case,
    that it was computed from.
    """

    strategy: str
    case: str
    name: str
    value: float | None
    unit: Unit
    better: Better = "lower"
    low: float | None = None
    high: float | None = None
    series: str | None = None

    @property
    def path(self) -> str:
        """The name that gates use: ``readcache.hit.p50``."""
        return f"{self.strategy}.{self.case}.{self.name}"


class Cell(NamedTuple):
    text: str
    rating: Rating = ""

    @property
    def sign(self) -> str:
        """For readers who see no colours."""
        return SIGNS[self.rating] if self.text else ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The first ``words`` columns hold words, the others hold numbers."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: int = 1
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class ExperimentResult:
    """What one experiment found out.

    ``parameters`` are the numbers needed to repeat it. ``method`` says, in paragraphs, how it
    measures. Each verdict and each warning is one sentence; a report shows the verdicts last.
    """

    experiment: str
    parameters: Mapping[str, Any]
    figures: tuple[Figure, ...]
    series: tuple[Series, ...] = ()
    verdicts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    question: str = ""
    method: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()

    def figure(self, strategy: str, case: str, name: str) -> Figure | None:
        path = f"{strategy}.{case}.{name}"
        return next((each for each in self.figures if each.path == path), None)

    def value(self, strategy: str, case: str, name: str) -> float | None:
        """``None`` if the figure was not measured, or if there is no such figure."""
        figure = self.figure(strategy, case, name)
        return figure.value if figure else None

    @property
    def strategies(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(figure.strategy for figure in self.figures))

    @property
    def cases(self) -> list[str]:
        return list(dict.fromkeys(figure.case for figure in self.figures))

    def samples(self, strategy: str, case: str, name: str) -> tuple[float, ...]:
        """Empty if there are none."""
        wanted = (strategy, case, name)
        found = (each for each in self.series if (each.strategy, each.case, each.name) == wanted)
        return next((each.values for each in found), ())


@dataclass(frozen=True, kw_only=True)
class MeasuredStrategy:
    """``reference`` is the value of ``--strategy`` that selects it."""

    name: str
    description: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The machine of a run. ``versions`` maps each package, server and language to its version."""

    cpu: str
    cores: int
    system: str
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Change:
    """How one figure differs from the same figure of an older run; see ``comparison.py``.

    ``relative`` is a part of one. For a time or a rate it is the change relative to the reference of the
    same run. It is ``None`` if one of the two values is missing or the older value is 0.
    """

    experiment: str
    path: str
    unit: Unit
    before: float | None
    now: float | None
    relative: float | None
    is_significant: bool
    is_better: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of ``bench_cache``, with the experiments that are finished.

    ``products`` is the size of the catalogue. ``changes`` is ``None`` unless the run was compared with
    an older one.
    """

    path: str
    seed: int
    effort: str
    products: int
    simulated_latency_seconds: float
    environment: Environment
    strategies: tuple[MeasuredStrategy, ...]
    experiments: tuple[ExperimentResult, ...]
    changes: tuple[Change, ...] | None = None

    @property
    def conditions(self) -> dict[str, object]:
        """What two runs must have in common for their times to be compared, by the name that is shown."""
        where = self.environment
        latency = f"{self.simulated_latency_seconds:g} s"
        chosen = {"products": f"{self.products:,}", "path": self.path, "database slowed by": latency}
        return {**chosen, "CPU": where.cpu, "cores": where.cores, "system": where.system, **where.versions}
