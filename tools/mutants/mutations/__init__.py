"""The faults that can be planted in one source file, each as a replacement of a few characters."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from tools.mutants.mutations import kinds
from tools.mutants.mutations.code_that_runs import lines_of, nodes_that_run


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One fault. ``start`` and ``end`` are offsets in the bytes of the file.

    ``lines`` are those of the statement; the mutant runs where one of them does.
    """

    path: str
    kind: str
    line: int
    lines: range
    start: int
    end: int
    before: str
    after: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """Every mutant of a file, in the order of its text."""
    starts = _line_starts(source)
    found: dict[tuple[int, int, str], Mutant] = {}
    for node, lines in nodes_that_run(ast.parse(source)):
        for kind, mutate in kinds.ALL.items():
            for target, after in mutate(node):
                start = starts[target.lineno - 1] + target.col_offset
                end = starts[(target.end_lineno or target.lineno) - 1] + (target.end_col_offset or 0)
                mutant = Mutant(
                    path=path,
                    kind=kind,
                    line=target.lineno,
                    lines=lines_of(target) if isinstance(target, ast.stmt) else lines,
                    start=start,
                    end=end,
                    before=source[start:end].decode(),
                    after=after,
                )
                # Two kinds can make the same change, "while False" for "while True" for one.
                found.setdefault((start, end, after), mutant)
    return sorted(found.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.after))


def _line_starts(source: bytes) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts
