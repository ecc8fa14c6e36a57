"""The text of a run on terminals and in pipes."""

from __future__ import annotations

import re

import pytest

from catalog.benchmarks.figures.results import Cell, Table
from catalog.benchmarks.report.markdown import render_markdown
from catalog.benchmarks.report.text import fold, render_text
from catalog.tests.benchmarks.report.example import example_run


def wide_table(columns: int) -> Table:
    heads = ("strategy", *(f"figure{number} ms" for number in range(columns)))
    rows = tuple(
        (Cell(name), *(Cell(f"{n}.25") for n in range(columns))) for name in ("textbook", "readcache")
    )
    return Table(title="Wide", heads=heads, rows=rows)


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    lines = render_text(example_run(), columns=columns, colour=False).splitlines()

    assert max(map(len, lines)) <= columns
    # Rich ends a text that it cuts with this character.
    assert not any("…" in line for line in lines)


def test_a_wide_table_continues_below_with_its_words_and_loses_no_figure() -> None:
    table = wide_table(12)
    blocks = fold(table, 80)

    assert len(blocks) == 2
    assert [block.title for block in blocks] == ["Wide", "Wide, continued"]
    assert all(block.heads[0] == "strategy" for block in blocks)
    assert [head for block in blocks for head in block.heads[1:]] == list(table.heads[1:])
    assert [len(block.heads) for block in blocks] == [7, 7]


def test_a_table_that_fits_is_not_split() -> None:
    assert len(fold(wide_table(3), 80)) == 1


def test_a_column_that_is_wider_than_the_terminal_is_the_only_one_of_its_block() -> None:
    assert [len(block.heads) for block in fold(wide_table(3), 5)] == [2, 2, 2]


def test_ratings_have_signs_and_a_legend_for_readers_without_colours() -> None:
    text = render_text(example_run(), columns=100, colour=False)

    assert re.search(r"^textbook +2,535 .* 1,356! +534,911!", text, re.MULTILINE)
    assert re.search(r"^readcache +.* 0\* +0\*", text, re.MULTILINE)
    assert "* the best of its column; ! a fault" in text


def test_only_a_text_in_colours_has_escape_sequences() -> None:
    assert "\x1b" not in render_text(example_run(), columns=100, colour=False)
    assert "\x1b[1;31m1,356!" in render_text(example_run(), columns=100, colour=True)


def test_a_pipe_gets_one_line_for_each_row_and_no_rules() -> None:
    text = render_text(example_run(), columns=None, colour=False)

    assert not set(text) & set("─│┃━\x1b")
    assert re.search(r"^strategy +p50 ms +p99 ms +requests /s +floors$", text, re.MULTILINE)
    [shared] = [line for line in text.splitlines() if line.startswith("Warning: ")]
    assert "floor-get: the standard deviation is 12 to 17% of the mean. Close other programs." in shared


@pytest.mark.parametrize("columns", [80, None])
def test_verdicts_come_last(columns: int | None) -> None:
    lines = render_text(example_run(), columns=columns, colour=False).splitlines()

    assert lines[-1] == "readcache: a sentence about growth."
    assert lines.index("textbook: a repeat request is 4.5 times faster.") > lines.index(
        "* the best of its column; ! a fault"
    )


def test_markdown_shows_a_bad_figure_differently_from_the_best_one() -> None:
    text = render_markdown(example_run())

    assert "| textbook | 2,535 | 83.0 | **✗ 1,356** |" in text
    assert "| readcache | 2,535 | 83.0 | **0** |" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_every_strategy_is_described_before_the_first_table() -> None:
    lines = render_text(example_run(), columns=None, colour=False).splitlines()

    described = lines.index("readcache: The read cache of this project, the app readcache.")
    assert described < lines.index("latency: How fast are repeat requests?")
    assert any(line.startswith("floor-get: A bare view that fetches the same bytes") for line in lines)
    assert "- `uncached`: The plain views without any cache." in render_markdown(example_run())
