"""The results of a run of mutants: a table, the survivors, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.areas import AREAS
from tools.mutants.mutations import kinds
from tools.mutants.mutations.equivalent import place_of
from tools.mutants.trials import Fate, Trial

# The share of the mutants that the tests have to notice.
MARK = 0.95
COLUMNS = ("", "drawn", "killed", "timed out", "at import", "survived", "share")


@dataclass(frozen=True, kw_only=True)
class Results:
    """``equivalent`` counts, by area, the listed mutants that were drawn and passed over."""

    seed: int
    trials: dict[str, list[Trial]]
    equivalent: dict[str, int]

    def everything(self) -> list[Trial]:
        return [trial for trials in self.trials.values() for trial in trials]

    def save(self, path: Path) -> None:
        trials = {area: [_as_json(trial) for trial in found] for area, found in self.trials.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps({"seed": self.seed, "equivalent": self.equivalent, "trials": trials}, indent=1) + "\n"
        )


def share_noticed(trials: Sequence[Trial]) -> float:
    """Between 0 and 1. A mutant that ran out of time, or that could not be imported, was noticed."""
    return sum(trial.fate is not Fate.SURVIVED for trial in trials) / len(trials) if trials else 1.0


def table(results: Results) -> str:
    rows = [COLUMNS, *_rows(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def survivors(results: Results) -> Iterator[str]:
    """As entries for ``equivalent.toml``, which lack only their reason."""
    for trial in results.everything():
        if trial.fate is Fate.SURVIVED:
            yield _entry(trial)


def verdict(results: Results) -> str:
    share, command = share_noticed(results.everything()), f"make mutants ARGS='--seed {results.seed}'"
    reached = "reached" if share >= MARK else "missed"
    return f"{command}: the tests noticed {share:.1%}; the mark of {MARK:.0%} is {reached}."


def describe(trial: Trial) -> str:
    mutant = trial.mutant
    place = place_of(mutant)
    noticed_by = f" by {trial.by.splitlines()[-1]}" if trial.by else ""
    return (
        f"{trial.fate}{noticed_by} ({trial.tests} of {trial.tests_that_run_it} tests): "
        f"{mutant.path}:{mutant.line} {mutant.kind}: {place.before} -> {place.after}"
    )


def _rows(results: Results) -> Iterator[tuple[str, ...]]:
    for area in AREAS:
        trials = results.trials.get(area.name, [])
        yield _row(area.name, trials)
        for kind in kinds.ALL:
            of_kind = [trial for trial in trials if trial.mutant.kind == kind]
            if of_kind:
                yield _row(f"  {kind}", of_kind)
    yield _row("together", results.everything())


def _row(name: str, trials: Sequence[Trial]) -> tuple[str, ...]:
    fates = [Fate.KILLED, Fate.TIMED_OUT, Fate.BROKEN, Fate.SURVIVED]
    counts = [sum(trial.fate is fate for trial in trials) for fate in fates]
    return (name, str(len(trials)), *map(str, counts), f"{share_noticed(trials):.1%}")


def _entry(trial: Trial) -> str:
    place = place_of(trial.mutant)
    where = f"{trial.mutant.path}:{trial.mutant.line} {trial.mutant.kind}"
    return "\n".join(
        [
            f"# {where}, survived {trial.tests} of {trial.tests_that_run_it} tests",
            "[[mutant]]",
            *(f"{name} = {_quoted(getattr(place, name))}" for name in ("file", "line", "before", "after")),
            'reason = ""',
        ]
    )


def _quoted(text: str) -> str:
    # JSON's strings are TOML's basic strings.
    return json.dumps(text, ensure_ascii=False)


def _as_json(trial: Trial) -> dict[str, object]:
    place = place_of(trial.mutant)
    return {
        "file": place.file,
        "line_number": trial.mutant.line,
        "line": place.line,
        "kind": trial.mutant.kind,
        "before": place.before,
        "after": place.after,
        "fate": trial.fate,
        "by": trial.by,
        "tests": trial.tests,
        "tests_that_run_it": trial.tests_that_run_it,
    }
