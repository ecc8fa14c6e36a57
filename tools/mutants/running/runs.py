"""Runs chosen tests of one suite in a copy of the project, with a limit for each test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.areas import Suite
from tools.mutants.running.copies import Copy
from tools.mutants.running.pytest_plugin import REPORT_VARIABLE, TESTS_VARIABLE

# For the start of pytest and the collection of the tests, on a machine that does other work.
STARTING_SECONDS = 90.0
# What a test may take on top of several times as long as it took when it was measured.
GRACE_SECONDS = 30.0
SLOWNESS = 4.0
POLL_SECONDS = 0.05
PYTEST_PASSED, PYTEST_FAILED = 0, 1


@dataclass(frozen=True, kw_only=True)
class Run:
    """``failed`` and ``hung`` are node ids; ``broken`` is why pytest could not run the tests at all."""

    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    hung: str | None = None
    broken: str | None = None


def run_tests(
    copy: Copy,
    suite: Suite,
    seconds: Mapping[str, float],
    *,
    stops_at_first_failure: bool,
    python: str = sys.executable,
    options: Sequence[str] = (),
) -> Run:
    """Runs the tests that ``seconds`` names, in its order; it says how long each takes as a rule."""
    report = copy.temporary / "report"
    report.mkdir()
    chosen = report / "chosen.json"
    chosen.write_text(json.dumps(list(seconds)))
    files = dict.fromkeys(suite.file_of(nodeid) for nodeid in seconds)
    command = pytest_command(python, suite, [*options, *(["-x"] if stops_at_first_failure else []), *files])
    log = report / "log"
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=copy.tree,
                env=environment(copy, report) | {TESTS_VARIABLE: str(chosen)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            hung = _wait(process, report, seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return _result(process.returncode, hung, report, log)
    finally:
        copy.clean()


def pytest_command(python: str, suite: Suite, options: Sequence[str]) -> list[str]:
    """In the order of the list, without the cache of the last failures, and with this tool's plug-in."""
    plugins = ["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "tools.mutants.running.pytest_plugin"]
    return [python, "-m", "pytest", *plugins, "-q", *suite.arguments, *options]


def environment(copy: Copy, report: Path) -> dict[str, str]:
    # Compiled once, the modules of the copy serve all trials.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "TMPDIR": str(copy.temporary), REPORT_VARIABLE: str(report)}


def events(report: Path) -> Iterator[dict[str, object]]:
    """What the plug-in has reported until now, by all processes."""
    for path in sorted(report.glob("*.tests")):
        # A line that is being written is read next time.
        whole, newline, _ = path.read_text().rpartition("\n")
        yield from (json.loads(line) for line in whole.splitlines() if newline)


def _wait(process: subprocess.Popen[bytes], report: Path, seconds: Mapping[str, float]) -> str | None:
    """The test that did not end in time, if there is one; an empty name where pytest did not begin."""
    current, deadline = "", time.monotonic() + STARTING_SECONDS
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        begun = [str(event["begins"]) for event in events(report) if "begins" in event]
        if begun and begun[-1] != current:
            current = begun[-1]
            deadline = time.monotonic() + GRACE_SECONDS + SLOWNESS * seconds.get(current, 0.0)
        if time.monotonic() > deadline:
            return current
    return None


def _result(code: int, hung: str | None, report: Path, log: Path) -> Run:
    ended = [event for event in events(report) if "ended" in event]
    passed = tuple(str(event["ended"]) for event in ended if event["passed"])
    failed = tuple(str(event["ended"]) for event in ended if not event["passed"])
    is_broken = hung is None and (code not in (PYTEST_PASSED, PYTEST_FAILED) or (code and not failed))
    last_lines = log.read_text(errors="replace").strip().splitlines()[-15:]
    return Run(
        passed=passed,
        failed=failed,
        hung=hung,
        broken="\n".join(last_lines) or f"exit code {code}" if is_broken else None,
    )
