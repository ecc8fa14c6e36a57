"""Lines over something that grows: what each point is, the strategies' names or slopes at the ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from catalog.benchmarks.figures.results import ExperimentResult, Unit
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.style import Theme, arrange, line_style, say_tick, use_log_axis

LABEL_POINTS = 11.5
Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One coordinate system: points (x, y) by strategy, and the slopes of their logarithms."""

    title: str
    unit: Unit
    lines: dict[str, Points]
    slopes: dict[str, float]
    y_label: str = ""
    is_logarithmic: bool = True


def draw_panels(
    canvas: Canvas,
    theme: Theme,
    *,
    rows: Sequence[Sequence[Panel]],
    x_label: str,
    share_y: bool = False,
) -> None:
    """Beside the lines stand their slopes, or, where there are none, the strategies' names."""
    has_slopes = any(panel.slopes for row in rows for panel in row)
    grid = canvas.subplots(
        len(rows), len(rows[0]), squeeze=False, sharex="col", sharey="row" if share_y else False
    )
    strategies = list(dict.fromkeys(name for row in rows for panel in row for name in panel.lines))
    for row, axes_of_row in zip(rows, grid, strict=True):
        for axes, panel in zip(axes_of_row, row, strict=True):
            _draw_panel(axes, theme, panel, strategies)
        values = [y for panel in row for points in panel.lines.values() for _, y in points]
        _scale_y(axes_of_row, row, values, share_y=share_y)
        axes_of_row[0].set_ylabel(row[0].y_label)
    for axes in grid[-1]:
        axes.set_xlabel(x_label)
    for axes in grid[1:].flat:
        axes.set_title("")
    _add_legend(canvas, grid.flat, strategies)
    # Where the lines end in points is known once everything has its place.
    arrange(canvas)
    for row, axes_of_row in zip(rows, grid, strict=True):
        for axes, panel in zip(axes_of_row, row, strict=True):
            if panel.slopes:
                axes.set_title("slope", loc="right", fontsize=8, weight="normal", color=theme.muted)
                label_ends(
                    axes,
                    panel.lines,
                    {name: say(slope, "ratio") for name, slope in panel.slopes.items()},
                    theme,
                )
        if not has_slopes:
            label_ends(axes_of_row[-1], row[-1].lines, {name: name for name in row[-1].lines}, theme)


def label_ends(axes: Axes, lines: Mapping[str, Points], texts: Mapping[str, str], theme: Theme) -> None:
    """Write beside the last point of each line, at least a line's height apart."""
    points_per_pixel = 72 / axes.figure.dpi
    ends = sorted((axes.transData.transform(lines[name][-1])[1] * points_per_pixel, name) for name in texts)
    placed: list[float] = []
    for height, _ in ends:
        placed.append(max(height, placed[-1] + LABEL_POINTS) if placed else height)
    if not placed:
        return
    # Pushed apart upwards; half of that is taken back, and what would stand above the axes.
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
            color=theme.ink,
        )


def _add_legend(canvas: Canvas, panels: Iterable[Axes], strategies: Sequence[str]) -> None:
    handles = dict(handle for axes in reversed(list(panels)) for handle in _handles(axes))
    canvas.legend(
        [handles[name] for name in strategies],
        strategies,
        loc="outside upper left",
        ncols=len(strategies),
        frameon=False,
        handlelength=2.6,
        columnspacing=1.4,
    )


def _draw_panel(axes: Axes, theme: Theme, panel: Panel, strategies: Sequence[str]) -> None:
    axes.set_title(panel.title)
    xs = [x for points in panel.lines.values() for x, _ in points]
    use_log_axis(axes, "x", "count", xs)
    if len(set(xs)) <= 6:
        axes.set_xticks(sorted(set(xs)), [say_tick(x, "count") for x in sorted(set(xs))])
    for name, points in panel.lines.items():
        style = line_style(name, strategies, theme)
        x, y = zip(*points, strict=True)
        if name in panel.slopes:
            axes.plot(x, y, **{**style, "linestyle": "none"}, label=name)
            axes.plot(
                x,
                _fitted(x, y, panel.slopes[name]),
                color=style["color"],
                linewidth=1.2,
                linestyle=(0, (4, 2)),
            )
        else:
            axes.plot(x, y, **style, label=name)


def _fitted(x: Sequence[float], y: Sequence[float], slope: float) -> np.ndarray:
    """The line of this slope of the logarithms that has as many points above it as below."""
    start = np.median(np.log10(y) - slope * np.log10(x))
    fitted: np.ndarray = 10 ** (start + slope * np.log10(x))
    return fitted


def _scale_y(
    axes_of_row: Sequence[Axes], row: Sequence[Panel], values: list[float], *, share_y: bool
) -> None:
    for axes, panel in zip(axes_of_row, row, strict=True):
        own = values if share_y else [y for points in panel.lines.values() for _, y in points]
        if panel.is_logarithmic:
            use_log_axis(axes, "y", panel.unit, own)
            _widen(axes)
        else:
            axes.set_ylim(0, 1.08 * max(own, default=1))
            axes.yaxis.set_major_formatter(_formatter(panel.unit))
            axes.grid(axis="y")


def _widen(axes: Axes) -> None:
    """To a decade at least: a flat line must not look like a steep one."""
    low, high = axes.get_ylim()
    missing = (10 / (high / low)) ** 0.5
    if missing > 1:
        axes.set_ylim(low / missing, high * missing)


def _formatter(unit: Unit) -> Callable[[float, float], str]:
    return lambda value, _: say_tick(value, unit) if value else "0"


def _handles(axes: Axes) -> list[tuple[str, Any]]:
    handles, labels = axes.get_legend_handles_labels()
    return list(zip(labels, handles, strict=True))


def cases_of(result: ExperimentResult) -> list[str]:
    return list(dict.fromkeys(figure.case for figure in result.figures))
