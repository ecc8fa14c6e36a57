"""Warnings that several strategies share, and the method that a module describes."""

from __future__ import annotations

from catalog.benchmarks.experiments.latency import experiment as latency
from catalog.benchmarks.figures.sentences import group_warnings, method_of, words_of

STRATEGIES = ("uncached", "textbook", "readcache")


def test_a_warning_that_strategies_share_is_one_line_with_a_range() -> None:
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


def test_warnings_without_a_strategy_or_with_other_units_are_not_grouped() -> None:
    apart = [
        "This machine is busy: its load is 3.1 on 4 cores.",
        "textbook: no p99 from 50 samples.",
        "textbook: slower than 2 ms.",
        "readcache: slower than 900 µs.",
    ]

    assert group_warnings(apart, STRATEGIES) == tuple(apart)


def test_the_digits_within_a_name_are_not_a_number() -> None:
    shared = ["uncached: no p99 from 50 samples.", "textbook: no p99 from 60 samples."]

    assert group_warnings(shared, STRATEGIES) == ("uncached, textbook: no p99 from 50 to 60 samples.",)


def test_the_method_is_the_docstring_without_its_first_line() -> None:
    method = method_of(latency)

    assert "How fast are repeat requests?" not in " ".join(method)
    assert "Breslau" in method[0]
    assert all("\n" not in paragraph for paragraph in method)


def test_a_name_becomes_words() -> None:
    assert words_of("save_through_the_api") == "save through the API"
    assert words_of("raw_sql_after_a_comment") == "raw SQL after a comment"
