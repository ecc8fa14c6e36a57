"""Planted findings give exact counts of stale pages, exact times and exact verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from catalog.benchmarks.experiments.invalidation import experiment, trials
from catalog.benchmarks.experiments.invalidation.experiment import Finding
from catalog.benchmarks.experiments.invalidation.writes import Kind
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Effort, Options
from catalog.benchmarks.strategies.registry import READ_CACHE, UNCACHED, Strategy


def finding(strategy: str, kind: str, **fields: Any) -> Finding:
    given: dict[str, Any] = {"pages": {}, "stale_races": 0, "seconds": (1.0,), **fields}
    return Finding(strategy=strategy, kind=kind, **given)


FRESH = {"detail": False, "list": False}
FINDINGS = [
    finding("uncached", "save", seconds=(1.0, 2.0, 3.0)),
    finding("uncached", "update", seconds=(4.0,)),
    finding("uncached", "create", seconds=(10.0,)),
    finding("mine", "save", pages=FRESH, seconds=(3.0, 4.0, 9.0)),
    finding("mine", "update", pages={"detail": False, "list": True}, stale_races=2, seconds=(5.0,)),
    finding("mine", "create", pages={"list": False, "category": False}, stale_races=1, seconds=(16.0,)),
]


def values(findings: Sequence[Finding], case: str) -> dict[str, float | None]:
    figures = experiment._figures(findings)
    return {
        figure.name: figure.value
        for figure in figures
        if f"{figure.strategy}.{figure.case}" == f"mine.{case}"
    }


def test_a_kind_of_write_has_a_figure_of_each_page_and_of_both_races() -> None:
    assert values(FINDINGS, "save") == {
        "stale": 0,
        "stale_detail": 0,
        "stale_list": 0,
        "stale_race": 0,
        "write": 4,
    }
    assert values(FINDINGS, "update") == {
        "stale": 1,
        "stale_detail": 0,
        "stale_list": 1,
        "stale_race": 2,
        "write": 5,
    }
    assert values(FINDINGS, "create") == {
        "stale": 0,
        "stale_list": 0,
        "stale_category": 0,
        "stale_race": 1,
        "write": 16,
    }


def test_the_totals_count_kinds_and_take_the_median_of_their_prices() -> None:
    assert values(FINDINGS, "invalidation") == {
        "kinds": 3,
        "stale": 1,
        # The kinds that lost at least one of the two races.
        "stale_race": 2,
        # The median of 4 / 2, 5 / 4 and 16 / 10, and the median of 4 - 2, 5 - 4 and 16 - 10.
        "write_cost": 1.6,
        "write_extra": 2,
    }


def test_the_baseline_has_no_price() -> None:
    names = {
        figure.name
        for figure in experiment._figures(FINDINGS)
        if (figure.strategy, figure.case) == ("uncached", "invalidation")
    }

    assert names == {"kinds", "stale", "stale_race"}


def test_a_greater_number_of_faults_is_worse() -> None:
    assert {figure.name: figure.better for figure in experiment._figures(FINDINGS)} == {
        "kinds": "neither",
        **dict.fromkeys(
            (
                "stale",
                "stale_detail",
                "stale_list",
                "stale_category",
                "stale_race",
                "write",
                "write_cost",
                "write_extra",
            ),
            "lower",
        ),
    }


@pytest.mark.parametrize(
    ("pages", "races", "words"),
    [
        (FRESH, 0, "the next answer shows each of 1 kind of write, also in a race; "),
        (FRESH, 1, "a page is STALE after 0 of 1 kind of write, and after 1 in a race; "),
        ({"detail": True}, 0, "a page is STALE after 1 of 1 kind of write, and after 0 in a race; "),
    ],
)
def test_the_verdict_names_stale_pages(pages: dict[str, bool], races: int, words: str) -> None:
    plain = finding("uncached", "save")

    [verdict] = experiment._verdicts([plain, finding("mine", "save", pages=pages, stale_races=races)])

    assert verdict == f"mine: {words}the time of a write shows no significant difference."


def test_a_faster_write_is_not_called_slower() -> None:
    kinds = [str(number) for number in range(12)]
    plain = [finding("uncached", kind, seconds=(2.0,)) for kind in kinds]
    own = [finding("mine", kind, pages=FRESH, seconds=(1.0,)) for kind in kinds]

    [verdict] = experiment._verdicts([*plain, *own])

    assert verdict.endswith("; a write takes 0.50 times as long (95% interval 0.50 to 0.50).")


def test_the_table_shows_the_worst_result_of_a_kind() -> None:
    result = ExperimentResult(
        experiment="invalidation", parameters={}, figures=tuple(experiment._figures(FINDINGS))
    )

    notice, price = experiment.tables(result)

    assert [[(cell.text, cell.rating) for cell in row] for row in notice.rows] == [
        [("save", ""), ("fresh", ""), ("fresh", "")],
        [("update", ""), ("fresh", ""), ("stale: list", "bad")],
        [("create", ""), ("fresh", ""), ("stale in a race", "bad")],
    ]
    assert [[cell.text for cell in row] for row in price.rows] == [
        ["save", "2,000", "4,000", "2.00"],
        ["update", "4,000", "5,000", "1.25"],
        ["create", "10,000", "16,000", "1.60"],
    ]


# Planted trials of one kind of write


class Bench:
    """Replaces the real bench, without requesting pages."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    def make_targets(self, count: int) -> list[Any]:
        return [f"target {number}" for number in range(count)]

    def only_invalidation_of(self, strategy: Strategy) -> Any:
        self.connected.append(strategy.name)
        return nullcontext()


KIND = Kind(name="save", changes=frozenset({"detail"}), write=lambda target: None)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The results of the trials by their names. Each trial gets its own target."""
    found: dict[str, Any] = {
        "pages": {"detail": False},
        "races": [False, False],
        "seconds": 0.25,
        "timed": [],
    }

    def find_stale_pages(bench: Any, strategy: Strategy, kind: Kind, target: str) -> Any:
        assert target == "target 0"
        return found["pages"]

    def race(number: int) -> Any:
        def run(bench: Any, strategy: Strategy, kind: Kind, target: str) -> bool:
            assert target == f"target {number + 1}"
            return bool(found["races"][number])

        return run

    def time_write(bench: Any, strategy: Strategy, kind: Kind, target: str) -> float:
        assert bench.connected[-1] == strategy.name
        found["timed"].append((strategy.name, target))
        return float(found["seconds"])

    monkeypatch.setattr(trials, "find_stale_pages", find_stale_pages)
    monkeypatch.setattr(trials, "time_write", time_write)
    monkeypatch.setattr(experiment, "RACES", [race(0), race(1)])
    return found


def examine(bench: Bench, **options: Any) -> list[Finding]:
    given = Options(strategies=(UNCACHED, READ_CACHE), effort=Effort.QUICK, **options)
    return experiment._examine(bench, KIND, given.strategies, given)  # type: ignore[arg-type]


@pytest.mark.parametrize("races", [(False, False), (True, False), (False, True), (True, True)])
def test_the_races_that_end_with_a_stale_page_are_counted(planted: dict[str, Any], races: Any) -> None:
    planted["races"] = races

    uncached, read_cache = examine(Bench())

    assert (uncached.stale_races, read_cache.stale_races) == (0, sum(races))
    assert (uncached.pages, read_cache.pages) == ({}, {"detail": False})


def test_each_write_is_timed_on_a_fresh_target(planted: dict[str, Any]) -> None:
    rounds = experiment.ROUNDS.quick

    findings = examine(Bench())

    assert [each.seconds for each in findings] == [(0.25,) * 4] * 2
    # The trials stop after a second in total, although more rounds are allowed.
    assert rounds > 4
    assert len({target for _, target in planted["timed"]}) == len(planted["timed"]) == 8


def test_a_quick_write_is_timed_in_every_round(planted: dict[str, Any]) -> None:
    planted["seconds"] = 0.001

    assert [len(each.seconds) for each in examine(Bench())] == [experiment.ROUNDS.quick] * 2
