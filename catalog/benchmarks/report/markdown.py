"""A run as Markdown."""

from __future__ import annotations

from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.figures.tables import Cell, Table
from catalog.benchmarks.report.contents import introduction, sections

LEGEND = "Bold: the best of its column; with ✗: wrong."


def render_markdown(run: Run) -> str:
    parts = [". ".join(introduction(run)) + f". {LEGEND}"]
    for section in sections(run):
        parts += [f"## {section.question}"]
        for table in section.tables:
            parts += [f"{table.title}:", render_table(table), table.legend]
        parts += [f"*Warning: {line}*" for line in section.warnings]
        parts += ["\n".join(f"- {line}" for line in section.verdicts)]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_table(table: Table) -> str:
    rule = ["---" if number < table.words else "---:" for number, _ in enumerate(table.heads)]
    lines = [[*table.heads], rule, *([_bold(cell) for cell in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bold(cell: Cell) -> str:
    """Bold for both marks; what is wrong has a sign as well."""
    if not cell.mark or not cell.text:
        return cell.text
    return f"**✗ {cell.text}**" if cell.mark == "bad" else f"**{cell.text}**"
