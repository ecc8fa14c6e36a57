from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.mutants import trials
from tools.mutants.areas import Suite
from tools.mutants.mutations import Mutant, mutants_of
from tools.mutants.running.copies import Copy, scratch_folder

SOURCE = "def add(a, b):\n    return a + b\n"
TESTS = """\
import time

from readcache.scratch import add


def test_adds() -> None:
    assert add(1, 2) == 3


def test_adds_nothing() -> None:
    assert add(1, 0) == 1


def test_hangs() -> None:
    time.sleep(600)
"""
# A pytest without Django, which starts sooner.
SUITE = Suite(
    name="shop",
    root=".",
    folders=("tools/tests",),
    arguments=("-c", "/dev/null", "--rootdir", ".", "--noconftest", "-p", "no:django"),
)
FILE = "tools/tests/test_scratch.py"


@pytest.fixture
def copy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Copy]:
    """A copy of the project with one more module and three tests of it."""
    monkeypatch.setattr(trials, "SUITES", (SUITE,))
    with scratch_folder() as folder:
        copy = Copy(folder)
        (copy.tree / "readcache/scratch.py").write_text(SOURCE)
        (copy.tree / FILE).write_text(TESTS)
        yield copy


@pytest.fixture
def turned_sign() -> Mutant:
    """The mutant that subtracts."""
    return next(each for each in mutants_of("readcache/scratch.py", SOURCE.encode()) if each.kind == "sign")
