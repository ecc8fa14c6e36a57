"""Lines over a quantity that grows, with the names of the strategies or the slopes at their ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter

from catalog.benchmarks.figures.results import ExperimentResult, Unit
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.drawing import (
    PAINT,
    arrange,
    line_style,
    say_tick,
    use_log_axis,
)

LABEL_POINTS = 11.5
Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One coordinate system: by strategy its points (x, y), and the slope of their logarithms."""

    title: str
    unit: Unit
    lines: dict[str, Points]
    slopes: dict[str, float] = field(default_factory=dict)
    y_label: str = ""
    is_logarithmic: bool = True


def lines_of(result: ExperimentResult, name: str, cases: Mapping[int, str]) -> dict[str, Points]:
    """By strategy the values of a figure that are greater than 0, over the size of each case."""
    lines = {}
    for strategy in result.strategies:
        found = [(size, result.value(strategy, case, name)) for size, case in sorted(cases.items())]
        points = [(float(size), value) for size, value in found if value]
        if points:
            lines[strategy] = points
    return lines


def draw_panels(
    canvas: Canvas,
    *,
    rows: Sequence[Sequence[Panel]],
    x_label: str,
    share_y: bool = False,
) -> None:
    """Writes the slopes beside the lines, or the names of the strategies if there are no slopes."""
    has_slopes = any(panel.slopes for row in rows for panel in row)
    sharing: dict[str, Any] = {"sharex": "col", "sharey": "row" if share_y else False}
    grid = canvas.subplots(len(rows), len(rows[0]), squeeze=False, **sharing)
    strategies = list(dict.fromkeys(name for row in rows for panel in row for name in panel.lines))
    for row, axes_of_row in zip(rows, grid, strict=True):
        values = [y for panel in row for points in panel.lines.values() for _, y in points]
        for axes, panel in zip(axes_of_row, row, strict=True):
            _draw_panel(axes, panel, strategies)
            _scale_y(axes, panel, values if share_y else _ys(panel))
        axes_of_row[0].set_ylabel(row[0].y_label)
    for axes in grid[-1]:
        axes.set_xlabel(x_label)
    for axes in grid[1:].flat:
        axes.set_title("")
    _add_legend(canvas, grid.flat, strategies)
    # The layout decides where the lines end in points.
    arrange(canvas)
    for row, axes_of_row in zip(rows, grid, strict=True):
        for axes, panel in zip(axes_of_row, row, strict=True):
            if panel.slopes:
                axes.set_title("slope", loc="right", fontsize=8, weight="normal", color=PAINT["muted"])
                texts = {name: say(slope, "ratio") for name, slope in panel.slopes.items()}
                label_ends(axes, panel.lines, texts)
        if not has_slopes:
            label_ends(axes_of_row[-1], row[-1].lines, {name: name for name in row[-1].lines})


def label_ends(axes: Axes, lines: Mapping[str, Points], texts: Mapping[str, str]) -> None:
    """Write beside the last point of each line. The labels are at least the height of a line apart."""
    if not texts:
        return
    points_per_pixel = 72 / axes.figure.dpi
    ends = sorted((axes.transData.transform(lines[name][-1])[1] * points_per_pixel, name) for name in texts)
    placed: list[float] = []
    for height, _ in ends:
        placed.append(max(height, placed[-1] + LABEL_POINTS) if placed else height)
    # The labels were pushed upwards. Move all of them down by the mean, and below the top of the axes.
    shift = sum(there - height for there, (height, _) in zip(placed, ends, strict=True)) / len(ends)
    shift = max(shift, placed[-1] - axes.bbox.y1 * points_per_pixel)
    for there, (height, name) in zip(placed, ends, strict=True):
        axes.annotate(
            texts[name],
            (1, lines[name][-1][1]),
            xycoords=("axes fraction", "data"),
            xytext=(5, there - shift - height),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=PAINT["ink"],
        )


def _add_legend(canvas: Canvas, panels: Iterable[Axes], strategies: Sequence[str]) -> None:
    handles: dict[str, Any] = {}
    for axes in panels:
        found, labels = axes.get_legend_handles_labels()
        handles = dict(zip(labels, found, strict=True)) | handles
    canvas.legend(
        [handles[name] for name in strategies],
        strategies,
        loc="outside upper left",
        ncols=len(strategies),
        frameon=False,
        handlelength=2.6,
        columnspacing=1.4,
    )


def _draw_panel(axes: Axes, panel: Panel, strategies: Sequence[str]) -> None:
    axes.set_title(panel.title)
    xs = sorted({x for points in panel.lines.values() for x, _ in points})
    use_log_axis(axes, "x", "count", xs)
    if len(xs) <= 6:
        axes.set_xticks(xs, [say_tick(x, "count") for x in xs])
    for name, points in panel.lines.items():
        style = line_style(name, strategies)
        x, y = zip(*points, strict=True)
        if name in panel.slopes:
            axes.plot(x, y, **{**style, "linestyle": "none"}, label=name)
            fitted = _fitted(x, y, panel.slopes[name])
            axes.plot(x, fitted, color=style["color"], linewidth=1.2, linestyle=(0, (4, 2)))
        else:
            axes.plot(x, y, **style, label=name)


def _fitted(x: Sequence[float], y: Sequence[float], slope: float) -> np.ndarray:
    """The line with this slope of the logarithms that has as many points above it as below it."""
    start = np.median(np.log10(y) - slope * np.log10(x))
    fitted: np.ndarray = 10 ** (start + slope * np.log10(x))
    return fitted


def _scale_y(axes: Axes, panel: Panel, values: Sequence[float]) -> None:
    if not panel.is_logarithmic:
        axes.set_ylim(0, 1.08 * max(values, default=1))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: say_tick(value, panel.unit)))
        axes.grid(axis="y")
        return
    use_log_axis(axes, "y", panel.unit, values)
    # At least a decade, so that a flat line does not look steep.
    low, high = axes.get_ylim()
    missing = (10 / (high / low)) ** 0.5
    if missing > 1:
        axes.set_ylim(low / missing, high * missing)


def _ys(panel: Panel) -> list[float]:
    return [y for points in panel.lines.values() for _, y in points]
