from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants import trials
from tools.mutants.areas import AREAS, ROOT
from tools.mutants.drawing import draw
from tools.mutants.kept_trials import KeptTrials
from tools.mutants.measurement import MeasuredTest, Measurement
from tools.mutants.mutations import Mutant
from tools.mutants.running.copies import Copy
from tools.mutants.trials import Fate, Trial
from tools.tests.mutants.conftest import FILE

STORE = "readcache/storage/store.py"


def measured(
    name: str, file: str = FILE, *, seconds: float = 1.0, passed: bool = True, **ran: list[int]
) -> MeasuredTest:
    lines = {"readcache/scratch.py": ran["lines"]} if "lines" in ran else {}
    return MeasuredTest(
        suite="shop", nodeid=f"{file}::{name}", file=file, seconds=seconds, passed=passed, ran=lines
    )


def names(tests: list[MeasuredTest]) -> list[str]:
    return [test.nodeid.rpartition("::")[2] for test in tests]


def test_the_tests_that_run_the_line_are_tried_the_fastest_first(turned_sign: Mutant) -> None:
    tests = [
        measured("slow", seconds=9, lines=[2]),
        measured("fast", seconds=1, lines=[2, 3]),
        measured("elsewhere", lines=[3]),
        measured("fails_anyway", passed=False, lines=[2]),
    ]

    assert names(trials.tests_for(turned_sign, Measurement(tests=tests))) == ["slow", "fast"][::-1]


def test_the_tests_of_the_module_itself_come_first(turned_sign: Mutant) -> None:
    tests = [
        measured("other", "a/test_other.py", lines=[2]),
        measured("own", "b/test_scratch.py", seconds=9, lines=[2]),
    ]

    assert names(trials.tests_for(turned_sign, Measurement(tests=tests))) == ["own", "other"]


def test_a_line_of_the_import_concerns_each_test_that_runs_a_function_of_the_module(
    turned_sign: Mutant,
) -> None:
    tests = [measured("imports", lines=[1, 2]), measured("runs", lines=[1, 2, 5])]
    measurement = Measurement(tests=tests, imported={"readcache/scratch.py": [1, 2]})

    assert names(trials.tests_for(turned_sign, measurement)) == ["runs"]


def test_tests_of_other_modules_run_as_long_as_there_is_time(turned_sign: Mutant) -> None:
    tests = [
        measured("own", seconds=100, lines=[2]),
        measured("first", "test_other.py", seconds=1, lines=[2]),
        measured("second", "test_other.py", seconds=1.5, lines=[2]),
    ]

    assert names(list(trials._within(tests, turned_sign, 2))) == ["own", "first"]


def test_a_trial_names_the_test_that_noticed(copy: Copy, turned_sign: Mutant) -> None:
    measurement = Measurement(
        tests=[measured("test_adds_nothing", lines=[2]), measured("test_adds", lines=[2])]
    )

    trial = trials._try(turned_sign, measurement, copy, 60)

    assert (trial.fate, trial.by, trial.tests) == (Fate.KILLED, f"{FILE}::test_adds", 2)


def test_what_no_test_notices_survives(copy: Copy, turned_sign: Mutant) -> None:
    measurement = Measurement(tests=[measured("test_adds_nothing", lines=[2])])

    trial = trials._try(turned_sign, measurement, copy, 60)

    assert (trial.fate, trial.by, trial.tests, trial.tests_that_run_it) == (Fate.SURVIVED, "", 1, 1)


@pytest.mark.usefixtures("copy")
def test_a_test_that_fails_without_a_mutant_notices_nothing(turned_sign: Mutant) -> None:
    # A fresh copy of the project has no such test.
    trial = Trial(mutant=turned_sign, fate=Fate.KILLED, by=f"{FILE}::gone", tests=1, tests_that_run_it=1)
    measurement = Measurement(tests=[measured("gone", lines=[2])])

    assert trials.tests_that_fail_without([trial], measurement) == {f"{FILE}::gone"}


@pytest.fixture
def engine() -> Measurement:
    """A measurement in which one test runs some lines of the engine."""
    test = MeasuredTest(
        suite="shop",
        nodeid="t",
        file="test_store.py",
        seconds=1,
        passed=True,
        ran={STORE: list(range(60, 120))},
    )
    return Measurement(tests=[test])


def test_a_seed_draws_the_same_mutants_again_and_another_draws_others(engine: Measurement) -> None:
    drawn, again, other = (list(draw(AREAS[0], engine, seed=seed)) for seed in (0, 0, 1))

    assert drawn == again
    assert drawn != other
    assert {mutant.line for mutant in drawn} == {mutant.line for mutant in other}


def test_only_lines_that_run_are_drawn_each_once(engine: Measurement) -> None:
    drawn = list(draw(AREAS[0], engine, seed=0))

    assert drawn
    assert {mutant.path for mutant in drawn} == {STORE}
    assert all(set(mutant.lines) & set(range(60, 120)) for mutant in drawn)
    assert len(drawn) == len({mutant.line for mutant in drawn})


def test_a_noticed_mutant_is_remembered_until_its_source_or_the_test_changes(
    tmp_path: Path, turned_sign: Mutant
) -> None:
    source, test = tmp_path / turned_sign.path, tmp_path / FILE
    for path in (source, test):
        path.parent.mkdir(parents=True)
        path.write_text("as it was")
    trial = Trial(
        mutant=turned_sign, fate=Fate.KILLED, by=f"{FILE}::a", file=FILE, tests=1, tests_that_run_it=1
    )
    KeptTrials(tmp_path / "kept.json", root=tmp_path).add(trial)
    kept = KeptTrials(tmp_path / "kept.json", root=tmp_path)

    found = kept.find(turned_sign)
    test.write_text("changed")

    assert found is not None
    assert (found.fate, found.by) == (Fate.KILLED, f"{FILE}::a")
    assert kept.find(turned_sign) is None


def test_a_survivor_is_not_remembered(tmp_path: Path, turned_sign: Mutant) -> None:
    kept = KeptTrials(tmp_path / "kept.json", root=tmp_path)
    kept.add(Trial(mutant=turned_sign, fate=Fate.SURVIVED, tests=1, tests_that_run_it=1))

    assert kept.find(turned_sign) is None


def test_the_areas_leave_out_the_tests_and_what_serves_them() -> None:
    engine, detectors = (area.files(ROOT) for area in AREAS)

    assert STORE in engine
    assert not [path for path in engine if "/tests/" in path or "/testing/" in path]
    assert "catalog/benchmarks/figures/statistics.py" in detectors
