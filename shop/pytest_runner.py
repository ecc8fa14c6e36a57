"""``manage.py test``: Django's test command, with pytest to run the tests.

The shop's tests and the engine's have different settings, so each suite runs in a process of its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import CommandError

from readcache.testing.interrupts import TERMINATING

ROOT = Path(__file__).resolve().parent.parent

# The README gives the time too. A test compares the count with a whole run.
TEST_COUNT = 3_650
MINUTES = 6

# The packages of requirements-dev.txt that the tests import or name in their options.
REQUIRED_MODULES = ("pytest", "pytest_django", "pytest_randomly", "xdist", "hypothesis")

PYTEST_VERBOSITY = {0: ["-q"], 1: [], 2: ["-v"], 3: ["-vv"]}

# Exit codes of pytest. After any other code pytest could not go on.
OK = 0
TESTS_FAILED = 1
NO_TESTS_COLLECTED = 5


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Tests that share one configuration of pytest. Paths are relative to the project's root."""

    configuration: str
    folders: tuple[str, ...]

    def arguments_for(self, labels: Sequence[str]) -> list[str] | None:
        """The arguments of pytest; ``None`` if the labels select tests of other suites only.

        A label that is not a path goes to every suite: it may be an option of pytest.
        """
        if not any(map(_is_path, labels)):
            return [*labels, *self.folders]
        if not any(self._selection(label) for label in labels if _is_path(label)):
            return None
        return [
            argument
            for label in labels
            for argument in (self._selection(label) if _is_path(label) else (label,))
        ]

    def _selection(self, label: str) -> tuple[str, ...]:
        """The label if it lies in this suite; otherwise the folders of this suite that the label contains."""
        path = _path_of(label)
        if any(path.is_relative_to(ROOT / folder) for folder in self.folders):
            return (label,)
        return tuple(folder for folder in self.folders if (ROOT / folder).is_relative_to(path))


SUITES = (
    Suite(configuration="readcache/tests/pytest.ini", folders=("readcache/tests",)),
    Suite(configuration="pyproject.toml", folders=("catalog", "shop", "tools")),
)


class PytestRunner:
    """The ``TEST_RUNNER`` of the settings. ``manage.py test`` ends with the exit code of pytest."""

    def __init__(
        self,
        *,
        verbosity: int = 1,
        failfast: bool = False,
        parallel: int | str | None = None,
        expressions: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        self.failfast = failfast
        self.options = list(PYTEST_VERBOSITY[verbosity])
        if failfast:
            self.options.append("--exitfirst")
        if parallel:
            self.options += [f"--numprocesses={parallel}", "--dist=worksteal"]
        if expressions:
            self.options.append(f"-k{' or '.join(expressions)}")
        self.is_whole = not expressions

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.description = (
            "Runs the tests with pytest. A label is a folder, a file, a node id of pytest or a dotted name. "
            "Arguments after -- go to pytest: manage.py test -- --last-failed"
        )
        parser.add_argument("--failfast", action="store_true", help="Stop at the first test that fails.")
        parser.add_argument(
            "--parallel",
            nargs="?",
            const="auto",
            metavar="N",
            help="Run N tests at a time; without N, one for each processor.",
        )
        parser.add_argument(
            "-k",
            dest="expressions",
            action="append",
            metavar="EXPRESSION",
            help="Run the tests whose names match this expression of pytest. May be given several times.",
        )

    def run_tests(self, test_labels: Sequence[str], **kwargs: Any) -> int:
        """Return 0, or exit with the code of pytest.

        Raises ``CommandError`` if pytest is not installed, or if no test is in the labels' folders.
        """
        _require_pytest()
        labels = [path_of_label(label) for label in test_labels]
        runs = [(suite, found) for suite in SUITES if (found := suite.arguments_for(labels)) is not None]
        if not runs:
            folders = ", ".join(folder for suite in SUITES for folder in suite.folders)
            raise CommandError(f"No tests are in {' '.join(test_labels)}. The tests are in {folders}.")
        if self.is_whole and not labels:
            sys.stderr.write(f"About {TEST_COUNT:,} tests, which take {MINUTES} minutes on two processors.\n")
        if code := self._run_each(runs):
            sys.exit(code)
        return OK

    def _run_each(self, runs: Sequence[tuple[Suite, list[str]]]) -> int:
        codes: set[int] = set()
        for suite, arguments in runs:
            code = _run_pytest(f"--config-file={suite.configuration}", *self.options, *arguments)
            codes.add(code)
            if code not in (OK, NO_TESTS_COLLECTED) and (self.failfast or code != TESTS_FAILED):
                return code
        return max(codes - {NO_TESTS_COLLECTED}, default=NO_TESTS_COLLECTED)


def path_of_label(label: str) -> str:
    """The path or node id of a dotted name; any other label unchanged.

    ``catalog.tests.test_views.test_one`` is ``catalog/tests/test_views.py::test_one``.
    """
    if _is_path(label):
        return label
    dotted, bracket, parameters = label.partition("[")
    parts = dotted.split(".")
    if (ROOT / Path(*parts)).is_dir():
        return "/".join(parts)
    for length in range(len(parts), 0, -1):
        module = "/".join(parts[:length]) + ".py"
        if (ROOT / module).is_file():
            return "::".join([module, *parts[length:]]) + bracket + parameters
    return label


def _is_path(label: str) -> bool:
    return _path_of(label).exists()


def _path_of(label: str) -> Path:
    return (ROOT / label.partition("::")[0]).resolve()


def _require_pytest() -> None:
    missing = [module for module in REQUIRED_MODULES if find_spec(module) is None]
    if missing:
        raise CommandError(
            f"The tests need packages that are not installed: {', '.join(missing)}. "
            f"Run make test, or install them with: {sys.executable} -m pip install -r requirements-dev.txt"
        )


def _run_pytest(*arguments: str) -> int:
    """Return the exit code, or 128 + the number of the signal that killed pytest."""
    command = [sys.executable, "-m", "pytest", *arguments]
    with subprocess.Popen(command, cwd=ROOT) as pytest, _signals_passed_to(pytest):
        code = pytest.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _signals_passed_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass SIGTERM and SIGHUP on to the process. A terminal sends Ctrl-C to the process by itself."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    handlers: dict[int, Any] = {signal.SIGINT: lambda number, frame: None}
    handlers |= dict.fromkeys(TERMINATING, pass_on)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
