"""A run in words and tables, for people: on a terminal, in a pipe, as a picture, as Markdown."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from catalog.benchmarks.experiments import EXPERIMENTS
from catalog.benchmarks.results import ExperimentResult, Run
from catalog.benchmarks.tables import Cell, Table

PICTURE_COLUMNS = 110
PIPE_COLUMNS = 400
STYLES = {"": "", "best": "bold green", "bad": "bold red"}
LEGEND = "Marked: the best of a column, and what is wrong."


def introduction(run: Run) -> str:
    versions = run.environment.versions
    database = next(name for name in ("sqlite", "postgresql") if name in versions)
    latency = run.simulated_latency_seconds
    slowed = f", database slowed by {latency:g} s a request" if latency else ""
    return (
        f"{run.products:,} products{slowed}, {run.effort} effort, seed {run.seed}\n"
        f"Python {versions['python']}, Django {versions['django']}, {database} {versions[database]}, "
        f"Redis {versions['redis server']}, {run.environment.cores} cores"
    )


def render_text(run: Run, *, columns: int | None, colour: bool) -> str:
    """For a terminal of so many columns, with boxes; ``columns=None`` is a pipe, without any."""
    output = io.StringIO()
    console = Console(
        file=output,
        width=columns or PIPE_COLUMNS,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        legacy_windows=False,
    )
    console.print(Group(*_parts(run, boxed=columns is not None)))
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def render_svg(run: Run) -> str:
    """The report as a picture of a terminal. It names no web font, so it loads nothing."""
    console = Console(file=io.StringIO(), width=PICTURE_COLUMNS, record=True, force_terminal=True)
    console.print(Group(*_parts(run, boxed=True)))
    return console.export_svg(title="python manage.py bench_cache", code_format=SVG_FORMAT)


def render_markdown(run: Run) -> str:
    parts = [introduction(run)]
    for result in run.experiments:
        parts += [f"## {EXPERIMENTS[result.experiment].QUESTION}"]
        for table in EXPERIMENTS[result.experiment].tables(result):
            parts += [f"{table.title}:", _markdown_table(table), table.legend]
        parts += [f"*Warning: {line}*" for line in result.warnings]
        parts += ["\n".join(f"- {line}" for line in result.verdicts)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _parts(run: Run, *, boxed: bool) -> Iterator[RenderableType]:
    yield Text(introduction(run))
    for result in run.experiments:
        yield Text("")
        yield from _experiment_parts(result, boxed=boxed)
    yield Text("")
    yield Text(LEGEND, style="dim")
    for result in run.experiments:
        for line in result.warnings:
            yield Text(f"Warning: {line}", style="yellow")
    for result in run.experiments:
        for line in result.verdicts:
            yield Text(line, style="bold")


def _experiment_parts(result: ExperimentResult, *, boxed: bool) -> Iterator[RenderableType]:
    experiment = EXPERIMENTS[result.experiment]
    yield Text(f"{result.experiment}: {experiment.QUESTION}", style="bold underline")
    for table in experiment.tables(result):
        yield Text("")
        yield Text(table.title, style="bold")
        yield _rich_table(table, boxed=boxed)
        if table.legend:
            yield Text(table.legend, style="dim")


def _rich_table(table: Table, *, boxed: bool) -> RenderableType:
    shown = RichTable(box=SIMPLE_HEAD if boxed else None, pad_edge=False)
    for number, head in enumerate(table.heads):
        shown.add_column(head, justify="left" if number < table.words else "right", no_wrap=not boxed)
    for row in table.rows:
        shown.add_row(*(Text(_marked(cell, boxed=boxed), style=STYLES[cell.mark]) for cell in row))
    return shown


def _marked(cell: Cell, *, boxed: bool) -> str:
    """Without colours a mark is a sign."""
    return cell.text if boxed or not cell.text else f"{cell.text}{SIGNS[cell.mark]}"


SIGNS = {"": "", "best": "*", "bad": "!"}


def _markdown_table(table: Table) -> str:
    lines = [[*table.heads], ["---" if n < table.words else "---:" for n, _ in enumerate(table.heads)]]
    lines += [[_bold(cell) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bold(cell: Cell) -> str:
    return f"**{cell.text}**" if cell.mark and cell.text else cell.text


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
