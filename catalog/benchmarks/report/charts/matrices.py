"""Matrices: a row for each case, a column for each strategy, and in each cell a word on a colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.figures.sentences import words_of
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.drawing import PAINT, Chart

SLOW_SECONDS = 1.0
ROW_INCHES = 0.3
LABELS_INCHES, COLUMN_INCHES = 2.3, 1.15


class Verdict(NamedTuple):
    """One cell. Its text has one line or two."""

    text: str
    judgement: Literal["good", "fair", "bad", "none"]


NOTHING = Verdict("", "none")
Row = tuple[str, Sequence[Verdict]]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """How to draw an experiment: the head of the row of a case, and the cell of a strategy in that case."""

    title: str
    caption: str
    head: Callable[[str], str]
    cell: Callable[[ExperimentResult, str, str], Verdict]


def matrix_charts(result: ExperimentResult) -> list[Chart]:
    """A row for each case except the totals."""
    form, strategies = MATRICES[result.experiment], result.strategies
    rows = [
        (form.head(case), [form.cell(result, strategy, case) for strategy in strategies])
        for case in result.cases
        if case != result.experiment
    ]
    return matrix(rows, strategies, name=result.experiment, title=form.title, caption=form.caption)


def matrix(rows: Sequence[Row], heads: Sequence[str], *, name: str, title: str, caption: str) -> list[Chart]:
    """No chart if there is no row."""
    if not rows:
        return []
    lines = max(cell.text.count("\n") + 1 for _, cells in rows for cell in cells)
    chart = Chart(
        name=name,
        title=title,
        caption=caption,
        alt=_alt(rows, heads),
        height_inches=0.5 + ROW_INCHES * len(rows) * (1 + 0.6 * (lines - 1)),
        draw=partial(_draw, rows=rows, heads=heads),
        width_inches=LABELS_INCHES + COLUMN_INCHES * len(heads),
    )
    return [chart]


def _alt(rows: Sequence[Row], heads: Sequence[str]) -> str:
    """Names only the faults. The table has everything, and a matrix takes long to read aloud."""
    parts = []
    for column, head in enumerate(heads):
        faults = [row for row, cells in rows if cells[column].judgement == "bad"]
        parts.append(f"{head}: {', '.join(faults) if faults else 'nothing'}")
    return f"A matrix of {len(rows)} rows. What is wrong, by strategy. {'; '.join(parts)}."


def _draw(canvas: Canvas, *, rows: Sequence[Row], heads: Sequence[str]) -> None:
    axes = canvas.subplots()
    axes.set_xlim(0, len(heads))
    axes.set_ylim(len(rows), 0)
    axes.spines[:].set_visible(False)
    axes.set_yticks([number + 0.5 for number in range(len(rows))], [row for row, _ in rows])
    axes.set_xticks([number + 0.5 for number in range(len(heads))], heads)
    axes.xaxis.tick_top()
    axes.tick_params(labelcolor=PAINT["ink"])
    cells = [(x, y, cell) for y, (_, row) in enumerate(rows) for x, cell in enumerate(row) if cell.text]
    for x, y, cell in cells:
        colour, ink = PAINT[f"{cell.judgement}-cell"], PAINT[f"{cell.judgement}-ink"]
        axes.add_patch(Rectangle((x + 0.03, y + 0.06), 0.94, 0.88, facecolor=colour, edgecolor="none"))
        weight = "bold" if cell.judgement == "bad" else "normal"
        centre: dict[str, Any] = {"ha": "center", "va": "center"}
        axes.text(x + 0.5, y + 0.5, cell.text, color=ink, weight=weight, fontsize=8.5, **centre)


def _order(case: str) -> str:
    """``admin, then visitor: HTML`` for ``admin_visitor_html``."""
    first, then, renderer = case.split("_")
    return f"{first}, then {then}: {renderer.upper()}"


def _noticed(result: ExperimentResult, strategy: str, kind: str) -> Verdict:
    stale, in_race = (result.value(strategy, kind, name) for name in ("stale", "stale_race"))
    if stale is None and in_race is None:
        return NOTHING
    if stale:
        return Verdict("✗ STALE", "bad")
    return Verdict("! stale in a race", "fair") if in_race else Verdict("✓ fresh", "good")


def _leaked(result: ExperimentResult, strategy: str, case: str) -> Verdict:
    leaks = result.value(strategy, case, "leaks")
    if leaks is None:
        return NOTHING
    return Verdict(f"✗ {leaks:g} LEAKED", "bad") if leaks else Verdict("✓ none", "good")


def _survived(result: ExperimentResult, strategy: str, case: str) -> Verdict:
    share, stale, slowest = (result.value(strategy, case, name) for name in ("ok", "stale", "max"))
    if share is None:
        return NOTHING
    is_slow = slowest is not None and slowest >= SLOW_SECONDS
    lines = ["all answered" if share == 1 else f"{say(share, 'share')} answered"]
    lines += [f"{stale:,.0f} STALE"] if stale else []
    lines += [] if slowest is None else [f"{'SLOW,' if is_slow else 'at most'} {say(slowest, 's')}"]
    if share < 1 or stale:
        return Verdict("✗ " + "\n".join(lines), "bad")
    return Verdict(("! " if is_slow else "✓ ") + "\n".join(lines), "fair" if is_slow else "good")


MATRICES = {
    "invalidation": Matrix(
        title="Which writes a cache notices",
        caption=(
            "The first response after each kind of write. “In a race” means that a page became stale only "
            "because it was read while it was written."
        ),
        head=words_of,
        cell=_noticed,
    ),
    "leak": Matrix(
        title="Whether one account sees another's page",
        caption=(
            "The pages of the first account are cached, and the second one requests the same pages. Each "
            "number counts the pages that show something of the first account. “Logout” is the same "
            "account, logged out."
        ),
        head=_order,
        cell=_leaked,
    ),
    "outage": Matrix(
        title="What happens during an outage of Redis",
        caption=(
            "The share of requests that were answered, the number of stale responses after a save during "
            "the outage, and the longest time that a response took."
        ),
        head={"refused": "Redis refuses", "hung": "Redis hangs", "restarted": "Redis restarts"}.__getitem__,
        cell=_survived,
    ),
}
