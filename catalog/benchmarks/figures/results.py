"""What experiments find out: figures, the samples they were made of, and words about them.

The same for every experiment, so that one report, one export, one comparison and one language of
gates serve them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# Seconds, a second, bytes, things, parts of one, and numbers that have no unit.
Unit = Literal["s", "1/s", "bytes", "count", "share", "ratio"]
Better = Literal["lower", "higher", "neither"]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Every sample of one strategy in one case, in the order in which they were taken."""

    strategy: str
    case: str
    name: str
    unit: Unit
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number that a strategy reached in one case, such as the median of the time of a hit.

    ``value`` is ``None`` where it could not be measured. ``low`` and ``high`` are its 95 %
    confidence interval, where it has one. ``series`` names the samples of the same strategy and
    case that it was made of.
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
        """What a gate calls it: ``readcache.hit.p50``."""
        return f"{self.strategy}.{self.case}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class ExperimentResult:
    """``parameters`` are the numbers by which it can be done again; ``verdicts`` come last in a report.

    Each verdict and warning is one sentence.
    """

    experiment: str
    parameters: Mapping[str, Any]
    figures: tuple[Figure, ...]
    series: tuple[Series, ...] = ()
    verdicts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def figure(self, strategy: str, case: str, name: str) -> Figure | None:
        path = f"{strategy}.{case}.{name}"
        return next((each for each in self.figures if each.path == path), None)

    def samples(self, strategy: str, case: str, name: str) -> tuple[float, ...]:
        """Empty where there are none."""
        wanted = (strategy, case, name)
        found = (each for each in self.series if (each.strategy, each.case, each.name) == wanted)
        return next((each.values for each in found), ())


@dataclass(frozen=True, kw_only=True)
class Environment:
    """On what a run was made; ``versions`` maps a package, server or language to its version."""

    cpu: str
    cores: int
    system: str
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of one figure since an older run, ``comparison.py`` says how it is found out.

    ``relative`` is in parts of one, of a time or rate against its reference; ``None`` from nothing, or
    to what could not be measured.
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
    """One call of ``bench_cache``. ``products`` is how many the catalogue had.

    ``changes`` are ``None`` where it was not compared with an older run.
    """

    path: str
    seed: int
    effort: str
    products: int
    simulated_latency_seconds: float
    environment: Environment
    experiments: tuple[ExperimentResult, ...]
    changes: tuple[Change, ...] | None = None
