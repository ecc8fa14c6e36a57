"""What is right and what is wrong, case by case: a word in each cell, and a colour behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from matplotlib.figure import Figure as Canvas
from matplotlib.patches import FancyBboxPatch

from catalog.benchmarks.figures.results import ExperimentResult, Figure
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.style import Chart, Theme, strategies_of

Judgement = Literal["good", "fair", "bad", "none"]
OUTAGES = {"refused": "Redis refuses", "hung": "Redis hangs", "restarted": "Redis restarts"}
SLOW_SECONDS = 1.0
ROW_INCHES = 0.3
LABELS_INCHES, COLUMN_INCHES = 2.3, 1.15


@dataclass(frozen=True)
class Verdict:
    """What stands in one cell, in one line or two."""

    text: str
    judgement: Judgement


NOTHING = Verdict("", "none")
Row = tuple[str, Sequence[Verdict]]


def invalidation_charts(result: ExperimentResult) -> list[Chart]:
    """A row a kind of write."""
    kinds = _cases(
        result, lambda figure: figure.name in ("stale", "stale_race") and figure.case != result.experiment
    )
    strategies = strategies_of(result.figures)
    rows = [(_words(kind), [_noticed(result, name, kind) for name in strategies]) for kind in kinds]
    return matrix(
        rows,
        strategies,
        name="invalidation",
        title="Which writes a cache notices",
        caption=(
            "After each kind of write, the answer to the next request. «In a race» means that only a "
            "read which overlapped the write left a stale page behind."
        ),
    )


def leak_charts(result: ExperimentResult) -> list[Chart]:
    """A row for who asked first, who then, and for which form of the page."""
    cases = _cases(result, lambda figure: figure.case != result.experiment)
    strategies = strategies_of(result.figures)
    rows = [(_order(case), [_leaked(result, name, case) for name in strategies]) for case in cases]
    return matrix(
        rows,
        strategies,
        name="leak",
        title="Whether one person sees another's page",
        caption=(
            "The first person's pages are cached, and the second one asks for the same: how many of them "
            "show what is the first one's. «Logout» is the same person, logged out."
        ),
    )


def outage_charts(result: ExperimentResult) -> list[Chart]:
    """A row a kind of outage."""
    cases = [case for case in OUTAGES if any(figure.case == case for figure in result.figures)]
    strategies = strategies_of(result.figures)
    rows = [(OUTAGES[case], [_survived(result, name, case) for name in strategies]) for case in cases]
    return matrix(
        rows,
        strategies,
        name="outage",
        title="What happens when Redis is away",
        caption=(
            "The share of requests that were answered, the answers after a save in the meantime that do "
            "not show it, and the longest time that an answer took."
        ),
    )


def matrix(rows: Sequence[Row], heads: Sequence[str], *, name: str, title: str, caption: str) -> list[Chart]:
    """No chart where there is no row."""
    if not rows:
        return []
    lines = max(cell.text.count("\n") + 1 for _, cells in rows for cell in cells)
    return [
        Chart(
            name=name,
            title=title,
            caption=caption,
            alt=_alt(rows, heads),
            height_inches=0.5 + ROW_INCHES * len(rows) * (1 + 0.6 * (lines - 1)),
            draw=partial(_draw, rows=rows, heads=heads),
            width_inches=LABELS_INCHES + COLUMN_INCHES * len(heads),
        )
    ]


def _alt(rows: Sequence[Row], heads: Sequence[str]) -> str:
    """Only the faults: read aloud cell by cell, a matrix is longer than its table."""
    parts = []
    for column, head in enumerate(heads):
        faults = [row for row, cells in rows if cells[column].judgement == "bad"]
        parts.append(f"{head}: {', '.join(faults) if faults else 'nothing'}")
    return f"A matrix of {len(rows)} rows. What is wrong, by strategy. {'; '.join(parts)}."


def _draw(canvas: Canvas, theme: Theme, *, rows: Sequence[Row], heads: Sequence[str]) -> None:
    axes = canvas.subplots()
    axes.set_xlim(0, len(heads))
    axes.set_ylim(len(rows), 0)
    axes.spines[:].set_visible(False)
    axes.set_yticks([number + 0.5 for number in range(len(rows))], [row for row, _ in rows])
    axes.set_xticks([number + 0.5 for number in range(len(heads))], heads)
    axes.xaxis.tick_top()
    axes.tick_params(labelcolor=theme.ink)
    paints = {
        "good": (theme.good_cell, theme.good_ink),
        "fair": (theme.fair_cell, theme.fair_ink),
        "bad": (theme.bad_cell, theme.bad_ink),
        "none": (theme.none_cell, theme.ink),
    }
    for y, (_, cells) in enumerate(rows):
        for x, cell in enumerate(cells):
            if cell.text:
                colour, ink = paints[cell.judgement]
                axes.add_patch(_box(x, y, colour))
                weight = "bold" if cell.judgement == "bad" else "normal"
                axes.text(
                    x + 0.5,
                    y + 0.5,
                    cell.text,
                    color=ink,
                    weight=weight,
                    ha="center",
                    va="center",
                    fontsize=8.5,
                )


def _box(x: float, y: float, colour: str) -> FancyBboxPatch:
    return FancyBboxPatch(
        (x + 0.03, y + 0.06), 0.94, 0.88, boxstyle="square,pad=0", facecolor=colour, edgecolor="none"
    )


def _cases(result: ExperimentResult, wanted: Callable[[Figure], bool]) -> list[str]:
    return list(dict.fromkeys(figure.case for figure in result.figures if wanted(figure)))


def _words(case: str) -> str:
    return case.replace("_", " ")


def _order(case: str) -> str:
    """``admin_visitor_html`` in words."""
    people, renderer = case.rsplit("_", 1) if "_" in case else (case, "")
    first, _, second = people.partition("_")
    return f"{first}, then {second}: {renderer.upper()}" if second else _words(case)


def _value(result: ExperimentResult, strategy: str, case: str, *names: str) -> float | None:
    """Of the first of these figures that there is."""
    found = (result.figure(strategy, case, name) for name in names)
    return next((figure.value for figure in found if figure and figure.value is not None), None)


def _noticed(result: ExperimentResult, strategy: str, kind: str) -> Verdict:
    stale, in_race = (_value(result, strategy, kind, name) for name in ("stale", "stale_race"))
    if stale is None and in_race is None:
        return NOTHING
    if stale:
        return Verdict("✗ STALE", "bad")
    if in_race:
        return Verdict("! stale in a race", "fair")
    return Verdict("✓ fresh", "good")


def _leaked(result: ExperimentResult, strategy: str, case: str) -> Verdict:
    leaks = _value(result, strategy, case, "leaks")
    if leaks is None:
        return NOTHING
    return Verdict(f"✗ {leaks:g} LEAKED", "bad") if leaks else Verdict("✓ none", "good")


def _survived(result: ExperimentResult, strategy: str, case: str) -> Verdict:
    share, stale, slowest = (_value(result, strategy, case, name) for name in ("ok", "stale", "max"))
    if share is None:
        return NOTHING
    is_slow = slowest is not None and slowest >= SLOW_SECONDS
    lines = ["all answered" if share == 1 else f"{say(share, 'share')} answered"]
    lines += [f"{stale:,.0f} STALE"] if stale else []
    lines += [] if slowest is None else [f"{'SLOW,' if is_slow else 'at most'} {say(slowest, 's')}"]
    if share < 1 or stale:
        return Verdict("✗ " + "\n".join(lines), "bad")
    return Verdict(("! " if is_slow else "✓ ") + "\n".join(lines), "fair" if is_slow else "good")
