"""The parts that every form of a report has in common."""

from __future__ import annotations

from dataclasses import replace

from catalog.benchmarks.figures.results import Change, ExperimentResult
from catalog.benchmarks.report.contents import introduction, legend_of_signs, results_of
from catalog.tests.benchmarks.report.example import example_run, freshness

CHANGE = Change(
    experiment="latency",
    path="readcache.hit.p50",
    unit="s",
    before=1.0,
    now=2.0,
    relative=1.0,
    is_significant=True,
    is_better=False,
)


def test_a_comparison_with_an_older_run_is_shown_like_a_result() -> None:
    run = replace(example_run(), experiments=(freshness(),))
    assert results_of(run) == (freshness(),)

    *_, comparison = results_of(replace(run, changes=(CHANGE,)))
    assert comparison.question == "What has changed since the older run?"
    assert "bootstrap" in comparison.method[1]
    assert comparison.tables[0].rows[0][-1].text == "+100%"
    assert comparison.verdicts[0].startswith("1 of 1 figures changed significantly, 1 of them")


def test_the_introduction_works_for_any_database() -> None:
    run = example_run()
    bare = replace(run, environment=replace(run.environment, versions={"python": "3.11.7"}))

    assert introduction(bare)[1] == "Python 3.11.7, 4 cores"
    assert "database slowed by 0.05 s" in introduction(replace(run, simulated_latency_seconds=0.05))[0]


def test_the_introduction_of_a_small_shop_agrees_with_its_numbers() -> None:
    run = example_run()
    small = replace(run, products=1, environment=replace(run.environment, cores=1))

    assert introduction(small)[0].startswith("1 product, quick effort")
    assert introduction(small)[1].endswith(", 1 core")


def test_the_legend_explains_only_the_signs_that_are_used() -> None:
    assert legend_of_signs([freshness()]) == "* the best of its column; ! a fault"
    assert legend_of_signs([ExperimentResult(experiment="x", parameters={}, figures=())]) == ""
