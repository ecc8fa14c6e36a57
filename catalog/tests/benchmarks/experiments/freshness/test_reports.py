"""Planted reports of readers and writers give exact totals, tables and verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.freshness import experiment
from catalog.benchmarks.experiments.freshness.readers import ReadReport
from catalog.benchmarks.experiments.freshness.soak import FreshnessResult
from catalog.benchmarks.experiments.freshness.soak import sum_up as sum_up_reports
from catalog.benchmarks.experiments.freshness.writers import WriteReport
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.strategies.registry import READ_CACHE

SECOND_NS = 1_000_000_000


def reader(*stale: tuple[int, int, int], **counts: int) -> ReadReport:
    fields = {"reads": 10, "hits": 0, "stale_reads": 0, "uncommitted_reads": 0, **counts}
    return ReadReport(**fields, stale={(register, version): ns for register, version, ns in stale})


def writer(*acknowledged: tuple[int, int, int], writes: int = 1, rollbacks: int = 0) -> WriteReport:
    times = {(register, version): ns for register, version, ns in acknowledged}
    return WriteReport(writes=writes, rollbacks=rollbacks, acknowledged=times)


def sum_up(written: list[WriteReport], read: list[ReadReport]) -> FreshnessResult:
    return sum_up_reports(READ_CACHE, written, read)


# The first write of register 0 was acknowledged in second 10, the second one in second 12.
WRITER = writer((0, 1, 10 * SECOND_NS), (0, 2, 12 * SECOND_NS), writes=2)


def test_the_counts_of_all_processes_are_summed() -> None:
    found = sum_up(
        [WRITER, writer((9, 1, SECOND_NS), writes=3, rollbacks=4)],
        [
            reader((0, 1, 13 * SECOND_NS), hits=6, stale_reads=1),
            reader(reads=30, hits=10, uncommitted_reads=5),
        ],
    )

    assert found == FreshnessResult(
        strategy="readcache",
        reads=40,
        hits=16,
        writes=5,
        rollbacks=4,
        stale_reads=1,
        uncommitted_reads=5,
        oldest_stale_seconds=1,
    )
    assert found.hit_share == 0.4


@pytest.mark.parametrize(
    ("stale", "seconds"),
    [
        ([], 0),
        # The answer lacks the write of second 12.
        ([(0, 1, 15 * SECOND_NS)], 3),
        # The answer lacks both writes, the first one for longer.
        ([(0, 0, 15 * SECOND_NS)], 5),
        # The answer lacks the whole product.
        ([(0, -1, 15 * SECOND_NS)], 5),
        ([(0, 1, 14 * SECOND_NS), (0, 0, 13 * SECOND_NS)], 3),
        # The answer lacks a product that has not been written since the start.
        ([(5, -1, 15 * SECOND_NS)], 0),
    ],
)
def test_the_age_of_a_stale_answer_counts_from_the_first_missing_write(
    stale: list[tuple[int, int, int]], seconds: float
) -> None:
    other = [(0, 1, 12 * SECOND_NS)] if stale else []
    found = sum_up([WRITER], [reader(*stale), reader(*other)])

    assert found.oldest_stale_seconds == seconds


def test_without_a_response_there_is_no_result() -> None:
    with pytest.raises(BenchmarkError, match="No response was read"):
        sum_up([WRITER], [reader(reads=0)])


def test_without_an_acknowledged_write_there_is_no_result() -> None:
    """Without a write every answer is fresh, which says nothing about the cache."""
    with pytest.raises(BenchmarkError, match="No write was acknowledged"):
        sum_up([writer(writes=0, rollbacks=3), writer(writes=0)], [reader()])


# Verdicts


def result(**changes: Any) -> FreshnessResult:
    fields = {
        "strategy": "mine",
        "reads": 1_000,
        "hits": 870,
        "writes": 40,
        "rollbacks": 3,
        "stale_reads": 0,
        "uncommitted_reads": 0,
        "oldest_stale_seconds": 0.0,
    }
    return FreshnessResult(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "is_fresh", "verdict"),
    [
        ({}, True, "mine: all of 1,000 answers were fresh, 87% of them from the cache."),
        ({"strategy": "uncached"}, True, "uncached: all of 1,000 answers were fresh."),
        (
            {"stale_reads": 1, "oldest_stale_seconds": 0.25},
            False,
            "mine: 1 of 1,000 answers were STALE, by up to 0.25 s.",
        ),
        ({"uncommitted_reads": 7}, False, "mine: 7 of 1,000 answers showed UNCOMMITTED data."),
        (
            {"stale_reads": 2_000, "uncommitted_reads": 1, "oldest_stale_seconds": 3, "reads": 5_000},
            False,
            (
                "mine: 2,000 of 5,000 answers were STALE, by up to 3.00 s; "
                "1 of 5,000 answers showed UNCOMMITTED data."
            ),
        ),
    ],
)
def test_the_verdict_names_each_fault(changes: dict[str, Any], is_fresh: bool, verdict: str) -> None:
    found = result(**changes)

    assert found.is_fresh is is_fresh
    assert experiment._verdict(found) == verdict


def test_the_figures_are_the_counted_numbers() -> None:
    found = result(stale_reads=3, uncommitted_reads=2, oldest_stale_seconds=1.5)

    figures = {figure.path: figure for figure in experiment._figures(found)}

    assert {path: figure.value for path, figure in figures.items()} == {
        "mine.freshness.reads": 1_000,
        "mine.freshness.hit_share": 0.87,
        "mine.freshness.writes": 40,
        "mine.freshness.rollbacks": 3,
        "mine.freshness.stale": 3,
        "mine.freshness.stale_per_million": 3_000,
        "mine.freshness.uncommitted": 2,
        "mine.freshness.oldest_stale": 1.5,
    }
    assert {figure.name: figure.better for figure in figures.values()} == {
        **dict.fromkeys(("reads", "writes", "rollbacks"), "neither"),
        "hit_share": "higher",
        **dict.fromkeys(("stale", "stale_per_million", "uncommitted", "oldest_stale"), "lower"),
    }


def marked(found: FreshnessResult) -> set[str]:
    figures = tuple(experiment._figures(found))
    made = ExperimentResult(experiment="freshness", parameters={}, figures=figures)
    [table] = experiment.tables(made)
    [row] = table.rows
    return {head for head, cell in zip(table.heads, row, strict=True) if cell.rating == "bad"}


def test_the_table_marks_only_faults() -> None:
    assert marked(result()) == set()
    assert marked(result(uncommitted_reads=1)) == {"uncommitted data"}
    assert marked(result(stale_reads=1, oldest_stale_seconds=0.5)) == {
        "stale reads",
        "stale per million",
        "oldest stale answer s",
    }
