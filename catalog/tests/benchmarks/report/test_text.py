"""Tables on terminals and in pipes."""

from __future__ import annotations

import re

import pytest

from catalog.benchmarks.figures.tables import Cell, Table
from catalog.benchmarks.report import render_markdown, render_svg, render_text
from catalog.benchmarks.report.text import fold
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
    # Folded, not cut: rich marks what it cuts.
    assert not any("…" in line for line in lines)


def test_a_wide_table_goes_on_below_with_its_words_and_loses_no_figure() -> None:
    table = wide_table(12)
    blocks = fold(table, 80)

    assert len(blocks) == 2
    assert [block.title for block in blocks] == ["Wide", "Wide, continued"]
    assert all(block.heads[0] == "strategy" for block in blocks)
    assert [head for block in blocks for head in block.heads[1:]] == list(table.heads[1:])
    assert [len(block.heads) for block in blocks] == [7, 7]


def test_a_table_that_fits_is_left_whole() -> None:
    assert len(fold(wide_table(3), 80)) == 1


def test_a_column_too_wide_for_the_terminal_is_a_block_of_its_own() -> None:
    assert [len(block.heads) for block in fold(wide_table(3), 5)] == [2, 2, 2]


def test_marks_are_seen_without_colours_and_explained() -> None:
    text = render_text(example_run(), columns=100, colour=False)

    assert re.search(r"^textbook +2,535 .* 1,356! +534,911!", text, re.MULTILINE)
    assert re.search(r"^readcache +.* 0\* +0\*", text, re.MULTILINE)
    assert "* the best of its column   ! wrong" in text


def test_without_colours_there_is_no_escape_and_with_them_there_is() -> None:
    assert "\x1b" not in render_text(example_run(), columns=100, colour=False)
    assert "\x1b[1;31m1,356!" in render_text(example_run(), columns=100, colour=True)


def test_a_pipe_gets_a_line_a_row_without_rules() -> None:
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
        "* the best of its column   ! wrong"
    )


def test_markdown_tells_what_is_wrong_from_what_is_best() -> None:
    text = render_markdown(example_run())

    assert "| textbook | 2,535 | 83.0 | **✗ 1,356** |" in text
    assert "| readcache | 2,535 | 83.0 | **0** |" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_picture_of_a_terminal_loads_nothing() -> None:
    assert not re.findall(r"(?:href|src|url)\W+https?:", render_svg(example_run()))
