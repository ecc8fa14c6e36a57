"""Tries mutants: runs the tests that run the mutated line until one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from queue import SimpleQueue

from tools.mutants.areas import SUITES
from tools.mutants.measurement import MeasuredTest, Measurement
from tools.mutants.mutations import Mutant
from tools.mutants.running.copies import Copy, scratch_folder
from tools.mutants.running.runs import Run, run_tests

# The tests of the module's own test file all run; of the others, those that fit into this time.
OTHER_TESTS_SECONDS = 90.0
# The first tests of a trial, in a pytest that starts sooner as it collects few files.
FIRST_TESTS_SECONDS = 3.0


class Fate(StrEnum):
    """``BROKEN``: no test could begin, since a module could not be imported."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    BROKEN = "broken at import"
    SURVIVED = "survived"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """``by`` is the test that noticed, in ``file``; ``tests`` of ``tests_that_run_it`` were run."""

    mutant: Mutant
    fate: Fate
    by: str = ""
    file: str = ""
    tests: int
    tests_that_run_it: int


def try_all(
    mutants: Sequence[Mutant],
    measurement: Measurement,
    *,
    jobs: int,
    other_tests_seconds: float = OTHER_TESTS_SECONDS,
    on_trial: Callable[[Trial], object],
) -> None:
    """Tries the mutants in ``jobs`` copies of the project at once."""
    with ExitStack() as stack:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for _ in range(jobs):
            copies.put(Copy(stack.enter_context(scratch_folder())))

        def try_one(mutant: Mutant) -> Trial:
            copy = copies.get()
            try:
                return _try(mutant, measurement, copy, other_tests_seconds)
            finally:
                copies.put(copy)

        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        stack.callback(pool.shutdown, cancel_futures=True)
        for trial in pool.map(try_one, mutants):
            on_trial(trial)


def tests_that_fail_without(trials: Iterable[Trial], measurement: Measurement) -> set[str]:
    """The tests that have noticed mutants and fail without any: by these nothing is noticed."""
    noticed_by = {trial.by for trial in trials if trial.fate is not Fate.BROKEN}
    tests = [test for test in measurement.tests if test.nodeid in noticed_by]
    failing: set[str] = set()
    with scratch_folder() as folder:
        copy = Copy(folder)
        for suite in SUITES:
            seconds = {test.nodeid: test.seconds for test in tests if test.suite == suite.name}
            if seconds:
                run = run_tests(copy, suite, seconds, stops_at_first_failure=False)
                failing |= seconds.keys() - set(run.passed)
    return failing


def tests_for(mutant: Mutant, measurement: Measurement) -> list[MeasuredTest]:
    """The tests that run the mutant: first those of its own test file, among these the fastest first."""
    imported = set(measurement.imported.get(mutant.path, ()))
    runs_at_import = not imported.isdisjoint(mutant.lines)
    found = [
        test
        for test in measurement.tests
        if test.passed and _runs(test, mutant, imported if runs_at_import else None)
    ]
    return sorted(found, key=lambda test: (not is_own_test(test, mutant), test.seconds))


def is_own_test(test: MeasuredTest, mutant: Mutant) -> bool:
    """Whether the test's file is named after the mutant's: ``store.py`` has ``test_store.py``."""
    stem = PurePosixPath(mutant.path).stem
    return PurePosixPath(test.file).stem == f"test_{stem}"


def _runs(test: MeasuredTest, mutant: Mutant, imported: set[int] | None) -> bool:
    """Whether it runs the mutant. What ran at import concerns each test that runs a function of the file."""
    lines = set(test.ran.get(mutant.path, ()))
    return not lines.isdisjoint(mutant.lines) if imported is None else bool(lines - imported)


def _try(mutant: Mutant, measurement: Measurement, copy: Copy, other_tests_seconds: float) -> Trial:
    tests = tests_for(mutant, measurement)
    count = 0
    with copy.planted(mutant):
        for batch in _batches(list(_within(tests, mutant, other_tests_seconds))):
            run = _run_batch(batch, copy)
            count += len({*run.passed, *run.failed, run.hung} - {None})
            fate, by = _judge(run)
            if fate is not Fate.SURVIVED:
                file = next((test.file for test in batch if test.nodeid == by), "")
                break
        else:
            fate, by, file = Fate.SURVIVED, "", ""
    return Trial(mutant=mutant, fate=fate, by=by, file=file, tests=count, tests_that_run_it=len(tests))


def _within(tests: Iterable[MeasuredTest], mutant: Mutant, seconds: float) -> Iterator[MeasuredTest]:
    for test in tests:
        if not is_own_test(test, mutant):
            seconds -= test.seconds
        if seconds >= 0:
            yield test


def _batches(tests: Sequence[MeasuredTest]) -> Iterator[list[MeasuredTest]]:
    """Some quick tests first, then the others; those of one suite together."""
    first = list(_first(tests))
    for part in (first, tests[len(first) :]):
        for suite in SUITES:
            batch = [test for test in part if test.suite == suite.name]
            if batch:
                yield batch


def _first(tests: Iterable[MeasuredTest]) -> Iterator[MeasuredTest]:
    seconds = FIRST_TESTS_SECONDS
    for test in tests:
        yield test
        seconds -= test.seconds
        if seconds < 0:
            return


def _run_batch(batch: Sequence[MeasuredTest], copy: Copy) -> Run:
    suite = next(suite for suite in SUITES if suite.name == batch[0].suite)
    seconds = {test.nodeid: test.seconds for test in batch}
    return run_tests(copy, suite, seconds, stops_at_first_failure=True)


def _judge(run: Run) -> tuple[Fate, str]:
    if run.hung is not None:
        return Fate.TIMED_OUT, run.hung
    if run.broken is not None:
        return Fate.BROKEN, run.broken
    return (Fate.KILLED, run.failed[0]) if run.failed else (Fate.SURVIVED, "")
