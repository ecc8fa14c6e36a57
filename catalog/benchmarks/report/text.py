"""A run as text, for a terminal or a pipe."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from catalog.benchmarks.figures.results import ExperimentResult, Run, Table
from catalog.benchmarks.report.contents import introduction, legend_of_signs, results_of

# Wider than any line, so that nothing is cut or folded in a pipe.
PIPE_COLUMNS = 10_000
STYLES = {"": "", "best": "bold green", "bad": "bold red"}
# The space that rich leaves between two columns.
GAP = 2


def render_text(run: Run, *, columns: int | None, colour: bool) -> str:
    """For a terminal of this width, with rules. ``columns=None`` means a pipe, without rules."""
    output = io.StringIO()
    console = Console(
        file=output,
        width=columns or PIPE_COLUMNS,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        legacy_windows=False,
    )
    console.print(Group(*_parts(run, columns)))
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def fold(table: Table, columns: int) -> list[Table]:
    """Split the table into the fewest blocks that fit this width. Each repeats the columns of words."""
    widths = [_width(table, number) for number in range(len(table.heads))]
    room = columns - sum(width + GAP for width in widths[: table.words])
    numbers = range(table.words, len(widths))
    blocks = _split(numbers, widths, room)
    # Narrow the room as far as it costs no further block, so that the blocks become equally wide.
    while room > 1 and len(narrower := _split(numbers, widths, room - 1)) == len(blocks):
        blocks, room = narrower, room - 1
    return [_block(table, block, is_first=block is blocks[0]) for block in blocks]


def _split(numbers: Sequence[int], widths: Sequence[int], room: int) -> list[list[int]]:
    blocks: list[list[int]] = [[]]
    for number in numbers:
        if blocks[-1] and sum(widths[each] + GAP for each in (*blocks[-1], number)) > room + GAP:
            blocks.append([])
        blocks[-1].append(number)
    return blocks


def _width(table: Table, number: int) -> int:
    """The least width of a column, whose head may take several lines."""
    words = table.heads[number].split()
    cells = (len(row[number].text + row[number].sign) for row in table.rows)
    return max([*map(len, words), *cells], default=0)


def _block(table: Table, numbers: Sequence[int], *, is_first: bool) -> Table:
    chosen = [*range(table.words), *numbers]
    return replace(
        table,
        title=table.title if is_first else f"{table.title}, continued",
        heads=tuple(table.heads[number] for number in chosen),
        rows=tuple(tuple(row[number] for number in chosen) for row in table.rows),
    )


def _parts(run: Run, columns: int | None) -> Iterator[RenderableType]:
    results = results_of(run)
    for line in introduction(run):
        yield Text(line)
    yield Text("")
    for strategy in run.strategies:
        # Descriptions are docstrings, which put code into double backticks.
        yield Text(f"{strategy.name}: {strategy.description.replace('``', '')}", style="dim")
    for result in results:
        yield Text("")
        yield from _result_parts(result, columns)
    yield Text("")
    yield Text(legend_of_signs(results), style="dim")
    for result in results:
        for line in result.warnings:
            yield Text(f"Warning: {line}", style="yellow")
    for result in results:
        yield Text(f"\n{result.question}", style="underline")
        for line in result.verdicts:
            yield Text(line, style="bold")


def _result_parts(result: ExperimentResult, columns: int | None) -> Iterator[RenderableType]:
    yield Text(f"{result.experiment}: {result.question}", style="bold underline")
    for table in result.tables:
        for block in fold(table, columns) if columns else [table]:
            yield Text(f"\n{block.title}", style="bold")
            yield _rich_table(block, is_wrapped=columns is not None)
        if table.legend:
            yield Text(table.legend, style="dim")


def _rich_table(table: Table, *, is_wrapped: bool) -> RichTable:
    shown = RichTable(
        box=SIMPLE_HEAD if is_wrapped else None,
        pad_edge=False,
        show_edge=False,
        collapse_padding=is_wrapped,
    )
    for number, head in enumerate(table.heads):
        is_word = number < table.words
        lines = textwrap.wrap(head, _width(table, number), break_long_words=False) if is_wrapped else [head]
        shown.add_column(
            "\n".join(lines),
            justify="left" if is_word else "right",
            vertical="bottom",
            no_wrap=not (is_wrapped and is_word),
            overflow="fold",
        )
    has_sign = [any(row[number].rating for row in table.rows) for number, _ in enumerate(table.heads)]
    for row in table.rows:
        # A blank in place of a sign keeps the digits of a column below each other.
        texts = (
            cell.text + cell.sign if cell.rating or not signed else f"{cell.text} "
            for cell, signed in zip(row, has_sign, strict=True)
        )
        shown.add_row(*(Text(text, style=STYLES[cell.rating]) for text, cell in zip(texts, row, strict=True)))
    return shown
