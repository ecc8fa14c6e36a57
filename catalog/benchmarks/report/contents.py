"""The parts that every form of a report has in common."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.benchmarks.figures.comparison import comparison_result
from catalog.benchmarks.figures.results import ExperimentResult, Rating, Run
from readcache.wording import counted

MEANINGS: dict[Rating, str] = {"best": "* the best of its column", "bad": "! a fault"}
DATABASES = ("sqlite", "postgresql", "mysql", "oracle")


def results_of(run: Run) -> tuple[ExperimentResult, ...]:
    """The results of all experiments, and the comparison with an older run if there was one."""
    compared = () if run.changes is None else (comparison_result(run.changes),)
    return (*run.experiments, *compared)


def introduction(run: Run) -> tuple[str, str]:
    """What was measured, and on which machine."""
    versions = run.environment.versions
    latency = run.simulated_latency_seconds
    slowed = f", database slowed by {latency:g} s a request" if latency else ""
    names = {"python": "Python", "django": "Django", **{name: name for name in DATABASES}}
    parts = [f"{shown} {versions[name]}" for name, shown in names.items() if name in versions]
    if "redis server" in versions:
        parts.append(f"Redis {versions['redis server']}")
    return (
        f"{counted(run.products, 'product')}{slowed}, {run.effort} effort, seed {run.seed}",
        ", ".join([*parts, counted(run.environment.cores, "core")]),
    )


def legend_of_signs(results: Sequence[ExperimentResult]) -> str:
    """The meaning of the signs beside the numbers; empty if no table has any."""
    tables = [table for result in results for table in result.tables]
    used = {cell.rating for table in tables for row in table.rows for cell in row}
    return "; ".join(meaning for rating, meaning in MEANINGS.items() if rating in used)
