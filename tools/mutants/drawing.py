"""Draws mutants by a seed from the lines that run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tools.mutants.areas import ROOT, Area
from tools.mutants.measurement import Measurement
from tools.mutants.mutations import Mutant, mutants_of


def draw(area: Area, measurement: Measurement, *, seed: int, only: str = "") -> Iterator[Mutant]:
    """All lines of the area that run, in an order that the seed decides, with one mutant of each.

    A line gives each of its kinds the same chance. ``only`` is what a path has to begin with.
    """
    paths = [path for path in area.files(ROOT) if path.startswith(only)]
    by_line = _mutants_by_line(paths, lines_that_run(measurement))
    chance = random.Random(f"{seed} {area.name}")
    lines = sorted(by_line)
    chance.shuffle(lines)
    for line in lines:
        yield _choose(by_line[line], chance)


def lines_that_run(measurement: Measurement) -> dict[str, set[int]]:
    ran = {path: set(lines) for path, lines in measurement.imported.items()}
    for test in measurement.tests:
        for path, lines in test.ran.items():
            ran.setdefault(path, set()).update(lines)
    return ran


def _mutants_by_line(paths: list[str], ran: dict[str, set[int]]) -> dict[tuple[str, int], list[Mutant]]:
    by_line: dict[tuple[str, int], list[Mutant]] = {}
    for path in paths:
        for mutant in mutants_of(path, Path(ROOT / path).read_bytes()):
            if not ran.get(path, set()).isdisjoint(mutant.lines):
                by_line.setdefault((path, mutant.line), []).append(mutant)
    return by_line


def _choose(mutants: list[Mutant], chance: random.Random) -> Mutant:
    kind = chance.choice(sorted({mutant.kind for mutant in mutants}))
    return chance.choice([mutant for mutant in mutants if mutant.kind == kind])
