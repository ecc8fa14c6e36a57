"""A run whose third experiment fails keeps the results of the first two."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from catalog.benchmarks.report.export import from_json
from catalog.tests.conftest import SMALL_MANAGE
from conftest import run_manage

EXPERIMENTS = ("latency", "invalidation", "stampede")

Bench = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def bench(small_shop: object, manage_environment: dict[str, str], tmp_path: Path) -> Bench:
    """A function that runs three experiments. Its first argument says how the third one ends."""
    # The folder that a killed run leaves behind is created here.
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def run(how: str, *options: str) -> CompletedProcess[str]:
        environment = {**manage_environment, "STAMPEDE_ENDS_BY": how, "TMPDIR": str(temporary)}
        arguments = ["bench_cache", *EXPERIMENTS, "--quick", "--requests", "3", *options]
        return run_manage(arguments, environment, program=SMALL_MANAGE)

    return run


@pytest.mark.parametrize(("how", "code"), [("SIGKILL", -signal.SIGKILL), ("KeyError", 1)])
def test_the_file_and_the_report_hold_the_finished_experiments(
    how: str, code: int, bench: Bench, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    target, report = results / "run.json", results / "report"

    done = bench(how, "--format", "json", "--output", str(target), "--report", str(report))

    assert done.returncode == code, done.stderr
    for path in (target, report / "run.json"):
        run = from_json(path.read_text())
        assert [result.experiment for result in run.experiments] == ["latency", "invalidation"]
        assert run.experiments[0].samples("readcache", "hit", "time")
    page = (report / "index.html").read_text()
    assert "How fast are repeat requests?" in page
    assert "Which writes does a cache notice" in page
    assert (report / "invalidation-dark.svg").exists()
    assert sorted(each.name for each in results.iterdir()) == ["report", "run.json"]


@pytest.mark.parametrize(("how", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("KeyError", 1)])
def test_without_a_file_the_finished_experiments_are_shown(how: str, code: int, bench: Bench) -> None:
    done = bench(how)

    assert done.returncode == code, done.stderr
    assert re.search(r"^readcache: a repeat request .*\.$", done.stdout, re.MULTILINE)
    assert "readcache: the next answer shows each of 2 kinds of write" in done.stdout
    assert ("Traceback" in done.stderr) == (how == "KeyError")
