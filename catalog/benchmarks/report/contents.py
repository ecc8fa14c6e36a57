"""What every form of a report says, before it is given a form."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from catalog.benchmarks.experiments.selection import EXPERIMENTS
from catalog.benchmarks.figures import comparison
from catalog.benchmarks.figures.comparison import comparison_table, comparison_verdict
from catalog.benchmarks.figures.results import Change, ExperimentResult, Run, Unit
from catalog.benchmarks.figures.tables import Table, tabulate

SIGNS = {"": "", "best": "*", "bad": "!"}
MEANINGS = {"best": "* the best of its column", "bad": "! wrong"}
DATABASES = ("sqlite", "postgresql", "mysql", "oracle")
# Not the digits of a name such as p99.
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One experiment. ``method`` is its module's docstring, in paragraphs; empty for an unknown one."""

    experiment: str
    question: str
    method: tuple[str, ...]
    tables: tuple[Table, ...]
    warnings: tuple[str, ...]
    verdicts: tuple[str, ...]


def sections(run: Run) -> list[Section]:
    """One for each experiment, and one for what has changed since an older run, if it was compared."""
    found = [_section(result) for result in run.experiments]
    return found if run.changes is None else [*found, _comparison(run.changes)]


def introduction(run: Run) -> tuple[str, str]:
    """What was measured, and on what."""
    versions = run.environment.versions
    latency = run.simulated_latency_seconds
    slowed = f", database slowed by {latency:g} s a request" if latency else ""
    names = {"python": "Python", "django": "Django", **{name: name for name in DATABASES}}
    parts = [f"{shown} {versions[name]}" for name, shown in names.items() if name in versions]
    if "redis server" in versions:
        parts.append(f"Redis {versions['redis server']}")
    return (
        f"{run.products:,} products{slowed}, {run.effort} effort, seed {run.seed}",
        ", ".join([*parts, f"{run.environment.cores} cores"]),
    )


def legend_of_marks(tables: Sequence[Table]) -> str:
    """What the signs beside the numbers mean; empty where there are none."""
    used = {cell.mark for table in tables for row in table.rows for cell in row}
    return "   ".join(meaning for mark, meaning in MEANINGS.items() if mark in used)


def group_warnings(warnings: Sequence[str], strategies: Sequence[str]) -> tuple[str, ...]:
    """One line for a warning that several strategies share, with the range of its numbers."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for warning in warnings:
        strategy, colon, rest = warning.partition(": ")
        subject, text = (strategy, rest) if colon and strategy in strategies else ("", warning)
        groups.setdefault(f"{bool(subject)}{NUMBER.sub('#', text)}", []).append((subject, text))
    return tuple(_grouped(members) for members in groups.values())


def _grouped(members: Sequence[tuple[str, str]]) -> str:
    subjects = ", ".join(dict.fromkeys(subject for subject, _ in members if subject))
    columns = iter(zip(*(NUMBER.findall(text) for _, text in members), strict=True))
    text = NUMBER.sub(lambda _: _range(next(columns)), members[0][1])
    return f"{subjects}: {text}" if subjects else text


def _range(numbers: Sequence[str]) -> str:
    ordered = sorted(set(numbers), key=lambda number: float(number.replace(",", "")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _section(result: ExperimentResult) -> Section:
    known = EXPERIMENTS.get(result.experiment)
    strategies = tuple(dict.fromkeys(figure.strategy for figure in result.figures))
    return Section(
        experiment=result.experiment,
        question=known.QUESTION if known else result.experiment.replace("_", " ").capitalize(),
        method=tuple(_method(known)) if known else (),
        tables=tuple(_tables(result)),
        warnings=group_warnings(result.warnings, strategies),
        verdicts=result.verdicts,
    )


def _comparison(changes: Sequence[Change]) -> Section:
    table = comparison_table(changes)
    return Section(
        experiment="comparison",
        question="What has changed since the older run?",
        method=tuple(_method(comparison)),
        tables=(table,) if table.rows else (),
        warnings=(),
        verdicts=(comparison_verdict(changes),),
    )


def _method(experiment: object) -> Iterator[str]:
    """The first paragraph of the docstring is the question."""
    _, *paragraphs = (inspect.getdoc(experiment) or "").split("\n\n")
    for paragraph in paragraphs:
        yield " ".join(paragraph.split())


def _tables(result: ExperimentResult) -> Iterator[Table]:
    # A run that another version stored may lack what this version's tables ask for.
    with suppress(KeyError, ValueError):
        if result.experiment in EXPERIMENTS:
            return iter(EXPERIMENTS[result.experiment].tables(result))
    return _plain_tables(result)


def _plain_tables(result: ExperimentResult) -> Iterator[Table]:
    """A table for the cases that have the same figures, for what this version does not know."""
    units: dict[str, dict[str, Unit]] = {}
    for figure in result.figures:
        units.setdefault(figure.case, {})[figure.name] = figure.unit
    alike: dict[tuple[tuple[str, Unit], ...], list[str]] = {}
    for case, of_case in units.items():
        alike.setdefault(tuple(of_case.items()), []).append(case)
    for names, cases in alike.items():
        columns = {name: name.replace("_", " ") for name, _ in names}
        figures = sorted(
            (figure for figure in result.figures if figure.case in cases),
            key=lambda figure: cases.index(figure.case),
        )
        yield tabulate("Figures", figures, columns=columns, by_case=True)
