"""The service of a reader's or writer's process: it takes part in the soak at the shared board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from catalog.benchmarks.experiments.freshness.readers import read
from catalog.benchmarks.experiments.freshness.results import ReadReport, WriteReport
from catalog.benchmarks.experiments.freshness.shelves import Task, opened_board
from catalog.benchmarks.experiments.freshness.writers import write


class Participant:
    def __init__(self, task: Task, board: memoryview[int]) -> None:
        self._task = task
        self._board = board

    def read(self) -> ReadReport:
        return read(self._task, self._board)

    def write(self) -> WriteReport:
        return write(self._task, self._board)


@contextmanager
def participating(task: Task) -> Iterator[Participant]:
    with opened_board(task.board) as board:
        yield Participant(task, board)
