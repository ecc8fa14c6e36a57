"""The experiments by name. Each is a module with its question, its measuring and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from catalog.benchmarks.experiments.freshness import experiment as freshness
from catalog.benchmarks.experiments.growth import experiment as growth
from catalog.benchmarks.experiments.invalidation import experiment as invalidation
from catalog.benchmarks.experiments.latency import experiment as latency
from catalog.benchmarks.experiments.leak import experiment as leak
from catalog.benchmarks.experiments.outage import experiment as outage
from catalog.benchmarks.experiments.stampede import experiment as stampede
from catalog.benchmarks.experiments.throughput import experiment as throughput
from catalog.benchmarks.figures.results import ExperimentResult, Table
from catalog.benchmarks.figures.sentences import group_warnings, method_of
from catalog.benchmarks.options import Options, Scale
from catalog.options import InvalidOption


class Experiment(Protocol):
    """The docstring of the module describes the measurement, its limits, and the source of its method."""

    QUESTION: str
    # Whether it writes scratch rows to the database.
    WRITES: bool
    # About how long it takes, for the progress bar.
    SECONDS_PER_STRATEGY: Scale[float]

    def measure(self, options: Options) -> ExperimentResult:
        """Leaves the database and Redis as it found them. Raises ``BenchmarkError``."""

    def tables(self, result: ExperimentResult) -> list[Table]: ...


EXPERIMENTS: dict[str, Experiment] = {
    "latency": latency,
    "throughput": throughput,
    "invalidation": invalidation,
    "freshness": freshness,
    "stampede": stampede,
    "leak": leak,
    "outage": outage,
    "growth": growth,
}
DEFAULT_EXPERIMENTS = ("latency", "invalidation")
ALL = "all"


def select_experiments(names: Sequence[str]) -> list[str]:
    """The named experiments in the order of ``EXPERIMENTS``; the defaults if none is named.

    Raises ``InvalidOption``.
    """
    for name in names:
        if name not in (*EXPERIMENTS, ALL):
            raise InvalidOption(f"EXPERIMENT must be one of {', '.join((*EXPERIMENTS, ALL))}, got {name!r}.")
    wanted = EXPERIMENTS if ALL in names else names or DEFAULT_EXPERIMENTS
    return [name for name in EXPERIMENTS if name in wanted]


def estimate_seconds(name: str, options: Options) -> float:
    return EXPERIMENTS[name].SECONDS_PER_STRATEGY.at(options.effort) * len(options.strategies)


def measure(name: str, options: Options) -> ExperimentResult:
    """Calls ``on_progress`` with parts of the estimated seconds. Raises ``BenchmarkError``."""
    seconds = estimate_seconds(name, options)
    given = options.reporting_to(lambda share: options.on_progress(share * seconds))
    return presented(EXPERIMENTS[name].measure(given))


def presented(result: ExperimentResult) -> ExperimentResult:
    """The result with the question, the method and the tables that its experiment gives it."""
    experiment = EXPERIMENTS[result.experiment]
    strategies = {figure.strategy for figure in result.figures}
    return replace(
        result,
        question=experiment.QUESTION,
        method=method_of(experiment),
        tables=tuple(experiment.tables(result)),
        warnings=group_warnings(result.warnings, sorted(strategies)),
    )
