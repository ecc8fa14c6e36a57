"""Counts of what should be few: stale answers, and computations of one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator

from catalog.benchmarks.figures.results import ExperimentResult, Figure, Unit
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.style import Chart, Theme, place_of, say_tick

ROW_INCHES = 0.34


@dataclass(frozen=True, kw_only=True)
class Bars:
    """One panel: a value and what to write at its bar, by strategy. ``None`` was not measured."""

    title: str
    unit: Unit
    values: dict[str, float | None]
    notes: dict[str, str]


def freshness_charts(result: ExperimentResult) -> list[Chart]:
    """Stale answers per million, and the age of the oldest."""
    panels = [
        bars(result, "stale_per_million", "stale answers per million reads", _say_stale),
        bars(result, "oldest_stale", "oldest stale answer"),
    ]
    return bars_chart(
        panels,
        name="freshness",
        title="How often an answer is stale",
        caption=(
            "A stale answer lacks what was acknowledged before it was asked for. In brackets: how many of "
            "all reads."
        ),
    )


def stampede_charts(result: ExperimentResult) -> list[Chart]:
    """Computations of one cold page, and the longest wait for it."""
    panels = [
        bars(result, "computations", "computations of one cold page"),
        bars(result, "wait_max", "longest wait for it"),
    ]
    return bars_chart(
        panels,
        name="stampede",
        title="What a cold page costs when many ask at once",
        caption="Many requests for one page that is not cached. One computation is enough.",
    )


def bars(
    result: ExperimentResult,
    name: str,
    title: str,
    note: Callable[[ExperimentResult, Figure], str] | None = None,
) -> Bars:
    """Of the figures of this name, which is in one case only."""
    found = {figure.strategy: figure for figure in result.figures if figure.name == name}
    return Bars(
        title=title,
        unit=next((figure.unit for figure in found.values()), "count"),
        values={strategy: figure.value for strategy, figure in found.items()},
        notes={
            strategy: note(result, figure) if note else say(figure.value, figure.unit)
            for strategy, figure in found.items()
        },
    )


def _say_stale(result: ExperimentResult, figure: Figure) -> str:
    """``534,911 (1,356 of 2,535)``"""
    stale = result.figure(figure.strategy, figure.case, "stale")
    reads = result.figure(figure.strategy, figure.case, "reads")
    rounded = "n/a" if figure.value is None else f"{figure.value:,.0f}"
    if stale is None or reads is None or stale.value is None or reads.value is None:
        return rounded
    return f"{rounded} ({stale.value:,.0f} of {reads.value:,.0f})"


def bars_chart(panels: Sequence[Bars], *, name: str, title: str, caption: str) -> list[Chart]:
    """Panels side by side; no chart where there is no value."""
    panels = [panel for panel in panels if panel.values]
    if not panels:
        return []
    alt = "; ".join(
        f"{panel.title.capitalize()}: " + ", ".join(f"{who} {note}" for who, note in panel.notes.items())
        for panel in panels
    )
    return [
        Chart(
            name=name,
            title=title,
            caption=caption,
            alt=f"{alt}.",
            height_inches=0.75 + ROW_INCHES * max(len(panel.values) for panel in panels),
            draw=partial(_draw, panels=panels),
        )
    ]


def _draw(canvas: Canvas, theme: Theme, *, panels: Sequence[Bars]) -> None:
    grid = canvas.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, theme, panel)


def _draw_panel(axes: Axes, theme: Theme, panel: Bars) -> None:
    strategies = list(panel.values)
    values = [panel.values[name] or 0 for name in strategies]
    colours = [theme.series[place_of(name, strategies)] for name in strategies]
    axes.barh(strategies, values, color=colours, height=0.62)
    axes.set_title(panel.title)
    axes.set_ylim(len(strategies) - 0.5, -0.5)
    axes.tick_params(axis="y", labelcolor=theme.ink)
    # Room at the right for what is written at the longest bar.
    axes.set_xlim(0, 1.9 * max(values) or 1)
    ticks = MaxNLocator(3, integer=panel.unit == "count").tick_values(0, max(values))
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= max(values)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: say_tick(value, panel.unit)))
    axes.grid(axis="x")
    for row, name in enumerate(strategies):
        axes.annotate(
            panel.notes[name],
            (values[row], row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 1},
        )
