"""What every form of a report says."""

from __future__ import annotations

from dataclasses import replace

from catalog.benchmarks.figures.results import ExperimentResult, Figure
from catalog.benchmarks.report.contents import group_warnings, introduction, sections
from catalog.tests.benchmarks.report.example import example_run, freshness, latency

STRATEGIES = ("uncached", "textbook", "readcache")


def test_a_warning_that_strategies_share_is_one_line_with_the_range_of_its_numbers() -> None:
    found = group_warnings(
        [
            "uncached: σ is 12% of the mean. Raise --requests to 100.",
            "textbook: 3 of 1,500 requests took more than 2.10 ms.",
            "readcache: σ is 9.5% of the mean. Raise --requests to 100.",
        ],
        STRATEGIES,
    )

    assert found == (
        "uncached, readcache: σ is 9.5 to 12% of the mean. Raise --requests to 100.",
        "textbook: 3 of 1,500 requests took more than 2.10 ms.",
    )


def test_warnings_of_no_strategy_or_of_other_units_stay_apart() -> None:
    apart = [
        "This machine is busy already: a load of 3.1 on 4 cores.",
        "textbook: no p99 from 50 samples.",
        "textbook: slower than 2 ms.",
        "readcache: slower than 900 µs.",
    ]

    assert group_warnings(apart, STRATEGIES) == tuple(apart)


def test_the_digits_of_a_name_are_no_number() -> None:
    shared = ["uncached: no p99 from 50 samples.", "textbook: no p99 from 60 samples."]

    assert group_warnings(shared, STRATEGIES) == ("uncached, textbook: no p99 from 50 to 60 samples.",)


def test_an_experiment_that_is_not_known_has_tables_all_the_same() -> None:
    figures = (
        Figure(strategy="readcache", case="small", name="time", value=0.002, unit="s"),
        Figure(strategy="readcache", case="large", name="time", value=0.003, unit="s"),
        Figure(strategy="readcache", case="slope", name="time", value=0.18, unit="ratio"),
    )
    unknown = ExperimentResult(experiment="cold_start", parameters={}, figures=figures)
    [section] = sections(replace(example_run(), experiments=(unknown,)))

    assert section.question == "Cold start"
    sizes, slope = section.tables
    # A ratio is not shown in milliseconds because another case's figure is a time.
    assert [[cell.text for cell in row] for row in sizes.rows] == [
        ["small", "readcache", "2.00"],
        ["large", "readcache", "3.00"],
    ]
    assert sizes.heads[-1] == "time ms"
    assert (slope.heads[-1], slope.rows[0][-1].text) == ("time", "0.18")


def test_a_run_that_another_version_stored_is_shown_in_plain_tables() -> None:
    without_path = replace(latency(), parameters={})
    [section] = sections(replace(example_run(), experiments=(without_path,)))

    assert section.question == "How fast are repeat requests?"
    assert [table.title for table in section.tables] == ["Figures"]


def test_a_known_experiment_says_how_it_is_measured() -> None:
    [section] = sections(replace(example_run(), experiments=(freshness(),)))

    assert section.question == "How often is an answer stale?"
    assert "Bailis" in section.method[0]


def test_a_run_of_any_database_is_introduced() -> None:
    run = example_run()
    bare = replace(run, environment=replace(run.environment, versions={"python": "3.11.7"}))

    assert introduction(bare)[1] == "Python 3.11.7, 4 cores"
    assert "database slowed by 0.05 s" in introduction(replace(run, simulated_latency_seconds=0.05))[0]
