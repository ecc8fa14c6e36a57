"""Renders a table for a terminal, or plain columns for a pipe."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 1000


def render_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, columns: int | None) -> str:
    """A table that fits into ``columns``; for a pipe (``None``) it has no lines and no cell is wrapped."""
    output = io.StringIO()
    table = Table(box=SIMPLE_HEAD if columns else None, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, overflow="fold", no_wrap=columns is None and number > 0)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=output, width=columns or PIPE_COLUMNS, no_color=True).print(table)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())
