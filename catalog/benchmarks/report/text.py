"""A run on a terminal, in a pipe, or as a picture of a terminal."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.figures.tables import Cell, Table
from catalog.benchmarks.report.contents import SIGNS, Section, introduction, legend_of_marks, sections

PICTURE_COLUMNS = 110
# Wider than any line: nothing is cut or folded in a pipe.
PIPE_COLUMNS = 10_000
STYLES = {"": "", "best": "bold green", "bad": "bold red"}
# What rich puts between two columns.
GAP = 2


def render_text(run: Run, *, columns: int | None, colour: bool) -> str:
    """For a terminal of so many columns, with rules; ``columns=None`` is a pipe, without any."""
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


def render_svg(run: Run) -> str:
    """The report as a picture of a terminal. It names no web font, so it loads nothing."""
    console = Console(file=io.StringIO(), width=PICTURE_COLUMNS, record=True, force_terminal=True)
    console.print(Group(*_parts(run, PICTURE_COLUMNS)))
    return console.export_svg(title="python manage.py bench_cache", code_format=SVG_FORMAT)


def fold(table: Table, columns: int) -> list[Table]:
    """The table in as few blocks as fit so many columns, each with the words at the left."""
    widths = [_width(table, number) for number in range(len(table.heads))]
    room = columns - sum(width + GAP for width in widths[: table.words])
    numbers = range(table.words, len(widths))
    blocks = _split(numbers, widths, room)
    # No block is much narrower than the others.
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
    """Of a column whose head may take several lines."""
    words = table.heads[number].split()
    cells = (len(_marked(row[number])) for row in table.rows)
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
    shown = sections(run)
    for line in introduction(run):
        yield Text(line)
    for section in shown:
        yield Text("")
        yield from _section_parts(section, columns)
    yield Text("")
    yield Text(legend_of_marks([table for section in shown for table in section.tables]), style="dim")
    for section in shown:
        for line in section.warnings:
            yield Text(f"Warning: {line}", style="yellow")
    for section in shown:
        yield Text(f"\n{section.question}", style="underline")
        for line in section.verdicts:
            yield Text(line, style="bold")


def _section_parts(section: Section, columns: int | None) -> Iterator[RenderableType]:
    yield Text(f"{section.experiment}: {section.question}", style="bold underline")
    for table in section.tables:
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
    has_sign = [any(row[number].mark for row in table.rows) for number, _ in enumerate(table.heads)]
    for row in table.rows:
        shown.add_row(
            *(
                Text(_marked(cell) if cell.mark or not signed else f"{cell.text} ", style=STYLES[cell.mark])
                for cell, signed in zip(row, has_sign, strict=True)
            )
        )
    return shown


def _marked(cell: Cell) -> str:
    """A mark is a sign too, for those who see no colours."""
    return f"{cell.text}{SIGNS[cell.mark]}" if cell.text else ""


# rich's own picture of a terminal, without its link to a web font.
SVG_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
