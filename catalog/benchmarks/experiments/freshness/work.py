"""The entry of a writer's or reader's process; the soak names it in a command and never imports it."""

from __future__ import annotations

import json
import mmap
import sys
from pathlib import Path

from catalog.benchmarks.experiments.freshness.readers import read
from catalog.benchmarks.experiments.freshness.shelves import Shelf, Task
from catalog.benchmarks.experiments.freshness.writers import write


def work() -> None:
    """What a writer's or reader's process runs: the task comes by stdin, the report goes to stdout."""
    given = json.loads(sys.stdin.readline())
    task = Task(**{**given, "shelves": [Shelf(**shelf) for shelf in given["shelves"]]})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        return
    with (
        Path(task.board).open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as memory,
        memoryview(memory).cast("q") as board,
    ):
        report = read(task, board) if task.reads else write(task, board)
    json.dump(report, sys.stdout)
