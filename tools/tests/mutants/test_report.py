from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tools.mutants.areas import AREAS, ROOT
from tools.mutants.mutations import Mutant, equivalent, mutants_of
from tools.mutants.report import Results, share_noticed, survivors, table, verdict
from tools.mutants.trials import Fate, Trial


@pytest.fixture
def mutant() -> Mutant:
    path = "readcache/storage/store.py"
    return next(each for each in mutants_of(path, (ROOT / path).read_bytes()) if each.kind == "comparison")


@pytest.fixture
def results(mutant: Mutant) -> Results:
    killed = Trial(mutant=mutant, fate=Fate.KILLED, by="test_a.py::a", tests=1, tests_that_run_it=3)
    trials = [
        killed,
        replace(killed, fate=Fate.TIMED_OUT),
        killed,
        replace(killed, fate=Fate.SURVIVED, tests=3),
    ]
    return Results(seed=0, trials={"engine": trials}, equivalent={"engine": 1})


def test_a_mutant_that_ran_out_of_time_was_noticed(results: Results) -> None:
    assert share_noticed(results.trials["engine"]) == 0.75


def test_the_table_counts_by_area_and_kind(results: Results) -> None:
    cells = [row.split() for row in table(results).splitlines()[1:]]
    rows = {" ".join(row[:-6]): row[-6:] for row in cells}

    assert rows["engine"] == rows["comparison"] == rows["together"] == ["4", "2", "1", "0", "1", "75.0%"]
    assert rows["detectors"] == ["0", "0", "0", "0", "0", "100.0%"]


def test_the_verdict_says_whether_the_mark_is_reached(results: Results) -> None:
    noticed = replace(results, trials={"engine": results.trials["engine"][:3]})

    assert verdict(results).endswith("the tests noticed 75.0%; the mark of 95% is missed.")
    assert verdict(noticed).endswith("the tests noticed 100.0%; the mark of 95% is reached.")


def test_a_survivor_is_printed_as_an_entry_of_the_list_of_equivalent_ones(
    results: Results, mutant: Mutant, tmp_path: Path
) -> None:
    (entry,) = survivors(results)
    path = tmp_path / "list.toml"
    path.write_text(entry.replace('reason = ""', 'reason = "because"'))

    assert equivalent.reason_for(mutant, equivalent.load(path)) == "because"


def test_each_entry_of_the_list_names_a_mutant_that_exists_and_says_why() -> None:
    reasons = equivalent.load()
    possible = {
        equivalent.place_of(mutant)
        for area in AREAS
        for path in area.files(ROOT)
        if path in {place.file for place in reasons}
        for mutant in mutants_of(path, (ROOT / path).read_bytes())
    }

    assert [place for place in reasons if place not in possible] == []
    assert [place for place, reason in reasons.items() if len(reason) < 20] == []
