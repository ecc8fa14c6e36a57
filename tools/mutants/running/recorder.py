"""Writes down which lines each test runs, in the test's process and in every Python process it starts.

This file is copied into the virtual environment of a measurement, as ``mutants_recorder``, where a .pth
file starts it with every Python. Each line is written at its first run, because many processes of the
tests are killed. It needs the standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

CONFIGURATION = "mutants_recorder.json"
# The context of lines that run while no test does: imports, for the most part.
NO_TEST = 0


class Recorder:
    """Appends ``context file line`` to a file of its process; ``prefixes`` says which files count.

    ``file`` is the index of a path in ``paths``; a context is the number of a test.
    """

    def __init__(self, folder: Path, paths: list[str]) -> None:
        self._folder = folder
        self._seen: dict[str, set[int]] = {}
        self._numbers = {path: number for number, path in enumerate(paths)}
        self._output = os.open(
            folder / f"{os.getpid()}.lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        )
        self.enter(self._context_of_ancestors())

    def start(self) -> None:
        threading.settrace(self._on_call)
        sys.settrace(self._on_call)

    def enter(self, context: int) -> None:
        """From now on the lines belong to this test."""
        self._context = context
        self._seen = {path: set() for path in self._numbers}

    def enter_test(self, context: int) -> None:
        """Like ``enter``, and for the processes too that are started from here."""
        self.enter(context)
        self._context_path(os.getpid()).write_text(str(context))
        # Whoever sets a trace function during a test ends the recording: it begins anew with each.
        self.start()

    def _context_path(self, pid: int) -> Path:
        return self._folder / f"{pid}.context"

    def _context_of_ancestors(self) -> int:
        """The test that the process was started by: environment variables are not always passed on."""
        pid = os.getpid()
        while pid > 1:
            pid = _parent(pid)
            path = self._context_path(pid)
            if path.exists():
                return int(path.read_text() or NO_TEST)
        return NO_TEST

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._on_line if frame.f_code.co_filename in self._numbers else None

    def _on_line(self, frame: FrameType, event: str, argument: object) -> Any:
        path, line = frame.f_code.co_filename, frame.f_lineno
        seen = self._seen[path]
        if event == "line" and line not in seen:
            seen.add(line)
            os.write(self._output, b"%d %d %d\n" % (self._context, self._numbers[path], line))
        return self._on_line


def _parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The name of the program stands in parentheses and can hold blanks.
    return int(stat.rpartition(")")[2].split()[1])


def start() -> Recorder:
    configuration = json.loads(Path(__file__).with_name(CONFIGURATION).read_text())
    recorder = Recorder(Path(configuration["folder"]), configuration["paths"])
    recorder.start()
    return recorder


# Python imports the copy once, when it starts. The project's own module records nothing.
RECORDER = start() if __name__ == "mutants_recorder" else None
