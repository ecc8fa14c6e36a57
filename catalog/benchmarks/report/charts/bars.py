"""Bars: one panel for each figure, one bar for each strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator

from catalog.benchmarks.figures.results import ExperimentResult, Figure, Unit
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.drawing import PAINT, Chart, colour_of, say_tick

ROW_INCHES = 0.34


@dataclass(frozen=True, kw_only=True)
class Bars:
    """One panel: by strategy a value, which is ``None`` if it was not measured, and the note at its bar."""

    title: str
    unit: Unit
    values: dict[str, float | None]
    notes: dict[str, str]


def freshness_charts(result: ExperimentResult) -> list[Chart]:
    return bars_chart(
        result,
        {"stale_per_million": "stale responses per million reads", "oldest_stale": "oldest stale response"},
        title="How often a response is stale",
        caption=(
            "A stale response lacks a write that was acknowledged before the request. In brackets: how many "
            "of all reads."
        ),
    )


def stampede_charts(result: ExperimentResult) -> list[Chart]:
    return bars_chart(
        result,
        {"computations": "computations of one cold page", "wait_max": "longest wait for it"},
        title="What a cold page costs under load",
        caption="Many requests at once for one page that is not cached. One computation is enough.",
    )


def bars_chart(
    result: ExperimentResult, panels: Mapping[str, str], *, title: str, caption: str
) -> list[Chart]:
    """``panels`` maps figures, each of which has one case only, to titles. No chart without figures."""
    bars = [_bars(result, name, panel) for name, panel in panels.items()]
    bars = [panel for panel in bars if panel.values]
    if not bars:
        return []
    alt = "; ".join(
        f"{panel.title.capitalize()}: " + ", ".join(f"{who} {note}" for who, note in panel.notes.items())
        for panel in bars
    )
    chart = Chart(
        name=result.experiment,
        title=title,
        caption=caption,
        alt=f"{alt}.",
        height_inches=0.75 + ROW_INCHES * max(len(panel.values) for panel in bars),
        draw=partial(_draw, panels=bars),
    )
    return [chart]


def _bars(result: ExperimentResult, name: str, title: str) -> Bars:
    found = {figure.strategy: figure for figure in result.figures if figure.name == name}
    return Bars(
        title=title,
        unit=next((figure.unit for figure in found.values()), "count"),
        values={strategy: figure.value for strategy, figure in found.items()},
        notes={strategy: _note(result, figure) for strategy, figure in found.items()},
    )


def _note(result: ExperimentResult, figure: Figure) -> str:
    """The value; for a share of all reads also both counts, as in ``534,911 (1,356 of 2,535)``."""
    stale, reads = (result.value(figure.strategy, figure.case, name) for name in ("stale", "reads"))
    if figure.name != "stale_per_million" or stale is None or not reads or figure.value is None:
        return say(figure.value, figure.unit)
    return f"{figure.value:,.0f} ({stale:,.0f} of {reads:,.0f})"


def _draw(canvas: Canvas, *, panels: Sequence[Bars]) -> None:
    grid = canvas.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel)


def _draw_panel(axes: Axes, panel: Bars) -> None:
    strategies = list(panel.values)
    values = [panel.values[name] or 0 for name in strategies]
    colours = [colour_of(name, strategies) for name in strategies]
    axes.barh(strategies, values, color=colours, height=0.62)
    axes.set_title(panel.title)
    axes.set_ylim(len(strategies) - 0.5, -0.5)
    axes.tick_params(axis="y", labelcolor=PAINT["ink"])
    # Leaves room for the note at the longest bar.
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
            bbox={"facecolor": PAINT["background"], "edgecolor": "none", "pad": 1},
        )
