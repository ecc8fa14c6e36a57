"""A run as Markdown."""

from __future__ import annotations

from catalog.benchmarks.figures.results import Cell, Run, Table
from catalog.benchmarks.report.contents import introduction, results_of

LEGEND = "Bold: the best of its column; with ✗: a fault."


def render_markdown(run: Run) -> str:
    parts = [". ".join(introduction(run)) + f". {LEGEND}"]
    parts.append("\n".join(f"- `{each.name}`: {each.description}" for each in run.strategies))
    for result in results_of(run):
        parts += [f"## {result.question}"]
        for table in result.tables:
            parts += [f"{table.title}:", render_table(table), table.legend]
        parts += [f"*Warning: {line}*" for line in result.warnings]
        parts += ["\n".join(f"- {line}" for line in result.verdicts)]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_table(table: Table) -> str:
    rule = ["---" if number < table.words else "---:" for number, _ in enumerate(table.heads)]
    lines = [[*table.heads], rule, *([_rated(cell) for cell in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rated(cell: Cell) -> str:
    """Rated cells are bold; cells rated bad also have a sign."""
    if not cell.rating or not cell.text:
        return cell.text
    return f"**✗ {cell.text}**" if cell.rating == "bad" else f"**{cell.text}**"
