"""The part of this tool that pytest loads: runs chosen tests in a given order, and reports each at once.

``MUTANTS_TESTS`` names a JSON file with the node ids to run; without it every test runs.
``MUTANTS_REPORT`` names a folder. Each process appends to a file there one JSON object a line: the test
that begins, and the test that has ended with its seconds and whether it passed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

TESTS_VARIABLE = "MUTANTS_TESTS"
REPORT_VARIABLE = "MUTANTS_REPORT"
# One process runs fewer tests than this.
CONTEXTS_PER_PROCESS = 100_000


class Reporter:
    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}.tests"
        self._count = 0
        self._seconds = 0.0
        self._passed = True

    def begin(self, nodeid: str) -> int:
        """The number of the test, which no other test of the run has."""
        self._count += 1
        self._seconds, self._passed = 0.0, True
        self._write(begins=nodeid)
        return os.getpid() * CONTEXTS_PER_PROCESS + self._count

    def add_phase(self, seconds: float, *, passed: bool) -> None:
        self._seconds += seconds
        self._passed &= passed

    def end(self, nodeid: str, number: int) -> None:
        self._write(ended=nodeid, number=number, seconds=round(self._seconds, 3), passed=self._passed)

    def _write(self, **said: object) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(said) + "\n")


class Plugin:
    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        # Only the Python of a measurement has it.
        module = sys.modules.get("mutants_recorder")
        self._recorder: Any = module and module.RECORDER

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if TESTS_VARIABLE in os.environ:
            wanted = json.loads(Path(os.environ[TESTS_VARIABLE]).read_text())
            rank = {nodeid: number for number, nodeid in enumerate(wanted)}
            items[:] = sorted(
                (item for item in items if item.nodeid in rank), key=lambda each: rank[each.nodeid]
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        number = self._reporter.begin(item.nodeid)
        if self._recorder is not None:
            self._recorder.enter_test(number)
        try:
            return (yield)
        finally:
            self._reporter.end(item.nodeid, number)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reporter.add_phase(report.duration, passed=not report.failed)


def pytest_configure(config: pytest.Config) -> None:
    # The controller of xdist hears of the tests of its workers, and runs none.
    is_controller = getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput")
    if REPORT_VARIABLE in os.environ and not is_controller:
        config.pluginmanager.register(Plugin(Reporter(Path(os.environ[REPORT_VARIABLE]))))
