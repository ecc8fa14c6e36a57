from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from tools.mutants.mutations import Mutant
from tools.mutants.running import runs
from tools.mutants.running.copies import Copy
from tools.tests.mutants.conftest import FILE, SUITE

ADDS, ADDS_NOTHING, HANGS = (f"{FILE}::test_{name}" for name in ("adds", "adds_nothing", "hangs"))


def run(copy: Copy, *nodeids: str) -> runs.Run:
    return runs.run_tests(copy, SUITE, dict.fromkeys(nodeids, 0.0), stops_at_first_failure=True)


def test_only_the_chosen_tests_run_in_the_given_order(copy: Copy) -> None:
    assert run(copy, ADDS_NOTHING, ADDS) == runs.Run(passed=(ADDS_NOTHING, ADDS))


def test_the_test_that_notices_a_planted_mutant_is_the_last(copy: Copy, turned_sign: Mutant) -> None:
    with copy.planted(turned_sign):
        found = run(copy, ADDS_NOTHING, ADDS, HANGS)

    assert found == runs.Run(passed=(ADDS_NOTHING,), failed=(ADDS,))


def test_a_mutant_is_gone_afterwards(copy: Copy, turned_sign: Mutant) -> None:
    with copy.planted(turned_sign):
        run(copy, ADDS)

    assert run(copy, ADDS) == runs.Run(passed=(ADDS,))


def test_a_test_that_hangs_is_named_and_ended(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "GRACE_SECONDS", 0.5)

    assert run(copy, HANGS).hung == HANGS
    assert [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(copy.tree)] == []


def test_a_module_that_cannot_be_imported_is_no_failed_test(copy: Copy) -> None:
    (copy.tree / "readcache/scratch.py").write_text("raise ImportError('not here')\n")

    found = run(copy, ADDS)

    assert (found.passed, found.failed) == ((), ())
    assert "not here" in (found.broken or "")


def test_a_process_that_a_test_has_left_is_ended(copy: Copy) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], cwd=copy.temporary, stdin=subprocess.PIPE
    ) as left:
        copy.clean()

        assert left.wait(timeout=10) < 0
