"""What changes with a size: throughput with the number of clients, times with that of products."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from catalog.benchmarks.quantities import say
from catalog.benchmarks.report.charts.style import (
    Chart,
    Theme,
    line_style,
    say_tick,
    strategies_of,
    use_log_axis,
)
from catalog.benchmarks.results import ExperimentResult, Unit

LOAD = re.compile(r"w(\d+)c(\d+)")
LABEL_POINTS = 11.5
Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One coordinate system: points (x, y) by strategy, and what to write beside each line."""

    title: str
    unit: Unit
    lines: dict[str, Points]
    notes: dict[str, str]
    y_label: str = ""
    is_logarithmic: bool = True


def throughput_charts(result: ExperimentResult) -> list[Chart]:
    """A column for each number of workers: requests/s above, the 99th percentile below."""
    loads = sorted(
        {tuple(map(int, match.groups())) for match in map(LOAD.fullmatch, _cases(result)) if match}
    )
    if not loads:
        return []
    workers = sorted({load[0] for load in loads})
    rows = [
        [_throughput_panel(result, loads, number, name) for number in workers]
        for name in ("requests_per_second", "p99", "p50")
    ]
    rows = [row for row in rows[:2] if any(panel.lines for panel in row)]
    best = {
        name: max((y for panel in rows[0] for _, y in panel.lines.get(name, [])), default=None)
        for name in strategies_of(result.figures)
    }
    said = ", ".join(f"{name} {say(value, '1/s')}" for name, value in best.items() if value is not None)
    return [
        Chart(
            name="throughput",
            title="What a real server gives",
            caption=(
                "Requests per second, and the time in which 99 of 100 were answered, by the number of "
                "clients that ask at once."
            ),
            alt=f"Lines by number of clients. The most requests per second: {said}.",
            height_inches=0.4 + 2.5 * len(rows),
            draw=partial(_draw_panels, rows=rows, x_label="clients", share_y=True),
        )
    ]


def growth_charts(result: ExperimentResult) -> list[Chart]:
    """One chart for products and one for keys, a panel a figure, on log-log axes."""
    charts = []
    for prefix, thing, names in (
        ("products", "products in the catalogue", {"hit": "a hit", "miss": "a miss", "write": "a write"}),
        ("keys", "keys in Redis", {"invalidation": "an invalidation", "memory_per_page": "memory of a page"}),
    ):
        panels = [_growth_panel(result, prefix, name, title) for name, title in names.items()]
        panels = [panel for panel in panels if panel.lines]
        if panels:
            charts.append(_growth_chart(prefix, thing, panels))
    return charts


def _growth_chart(prefix: str, thing: str, panels: Sequence[Panel]) -> Chart:
    said = "; ".join(
        f"{panel.title}: " + ", ".join(f"{name} {note}" for name, note in panel.notes.items())
        for panel in panels
    )
    return Chart(
        name=f"growth-{prefix}",
        title=f"What happens with more {thing}",
        caption=(
            "Both axes are logarithmic. The dashed lines are fitted; beside each is its slope: 0 stays as "
            "it is, 1 grows as fast as the number does."
        ),
        alt=f"Slopes of the fitted lines. {said}.",
        height_inches=2.9,
        draw=partial(_draw_panels, rows=[panels], x_label=thing, fits=True),
    )


def _cases(result: ExperimentResult) -> list[str]:
    return list(dict.fromkeys(figure.case for figure in result.figures))


def _throughput_panel(
    result: ExperimentResult, loads: Sequence[tuple[int, ...]], workers: int, name: str
) -> Panel:
    lines = {}
    for strategy in strategies_of(result.figures):
        found = [
            (clients, result.figure(strategy, f"w{workers}c{clients}", name))
            for number, clients in loads
            if number == workers
        ]
        points = [(float(x), figure.value) for x, figure in found if figure and figure.value is not None]
        if points:
            lines[strategy] = points
    title = f"{workers} worker{'s' if workers > 1 else ''}"
    is_rate = name == "requests_per_second"
    return Panel(
        title=title,
        y_label="requests per second" if is_rate else f"{name} of the time",
        unit="1/s" if is_rate else "s",
        lines=lines,
        notes=dict.fromkeys(lines, ""),
        is_logarithmic=not is_rate,
    )


def _growth_panel(result: ExperimentResult, prefix: str, name: str, title: str) -> Panel:
    lines, notes, unit = {}, {}, "s"
    sized = [
        (int(match[1]), case) for case in _cases(result) if (match := re.fullmatch(rf"{prefix}_(\d+)", case))
    ]
    for strategy in strategies_of(result.figures):
        found = [(size, result.figure(strategy, case, name)) for size, case in sorted(sized)]
        points = [(float(x), figure.value) for x, figure in found if figure and figure.value]
        unit = next((figure.unit for _, figure in found if figure), unit)
        if points:
            lines[strategy] = points
            slope = result.figure(strategy, f"slope_{prefix}", name)
            notes[strategy] = "" if slope is None or slope.value is None else f"{slope.value:.2f}"
    return Panel(title=title.capitalize(), unit=unit, lines=lines, notes=notes)


def _draw_panels(
    canvas: Canvas,
    theme: Theme,
    *,
    rows: Sequence[Sequence[Panel]],
    x_label: str,
    share_y: bool = False,
    fits: bool = False,
) -> None:
    grid = canvas.subplots(
        len(rows), len(rows[0]), squeeze=False, sharex="col", sharey="row" if share_y else False
    )
    strategies = list(dict.fromkeys(name for row in rows for panel in row for name in panel.lines))
    for row, axes_of_row in zip(rows, grid, strict=True):
        for axes, panel in zip(axes_of_row, row, strict=True):
            _draw_panel(axes, theme, panel, strategies, fits=fits)
        values = [y for panel in row for points in panel.lines.values() for _, y in points]
        _scale_y(axes_of_row, row, values, share_y=share_y)
        axes_of_row[0].set_ylabel(row[0].y_label)
    for axes in grid[-1]:
        axes.set_xlabel(x_label)
    for axes in grid[1:].flat:
        axes.set_title("")
    _add_legend(canvas, grid.flat, strategies)
    # Where the lines end in points is known once everything has its place.
    canvas.draw_without_rendering()
    for row, axes_of_row in zip(rows, grid, strict=True):
        for axes, panel in zip(axes_of_row, row, strict=True):
            if fits:
                axes.set_title(
                    "slope" if any(panel.notes.values()) else "",
                    loc="right",
                    fontsize=8,
                    weight="normal",
                    color=theme.muted,
                )
                label_ends(axes, panel.lines, panel.notes, theme)
        if not fits:
            label_ends(axes_of_row[-1], row[-1].lines, {name: name for name in row[-1].lines}, theme)


def label_ends(axes: Axes, lines: Mapping[str, Points], texts: Mapping[str, str], theme: Theme) -> None:
    """Write beside the last point of each line, at least a line's height apart."""
    points_per_pixel = 72 / axes.figure.dpi
    ends = sorted(
        (axes.transData.transform(points[-1])[1] * points_per_pixel, name) for name, points in lines.items()
    )
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
    handles = {name: line for axes in panels for name, line in _handles(axes)}
    canvas.legend(
        [handles[name] for name in strategies],
        strategies,
        loc="outside upper left",
        ncols=len(strategies),
        frameon=False,
        handlelength=2.6,
        columnspacing=1.4,
    )


def _draw_panel(axes: Axes, theme: Theme, panel: Panel, strategies: Sequence[str], *, fits: bool) -> None:
    axes.set_title(panel.title)
    xs = [x for points in panel.lines.values() for x, _ in points]
    use_log_axis(axes, "x", "count", xs)
    if len(set(xs)) <= 6:
        axes.set_xticks(sorted(set(xs)), [say_tick(x, "count") for x in sorted(set(xs))])
    for name, points in panel.lines.items():
        style = line_style(name, strategies, theme)
        x, y = zip(*points, strict=True)
        if fits and len(points) > 1:
            axes.plot(x, y, **{**style, "linestyle": "none"}, label=name)
            axes.plot(x, _fitted(x, y), color=style["color"], linewidth=1.2, linestyle=(0, (4, 2)))
        else:
            axes.plot(x, y, **style, label=name)


def _fitted(x: Sequence[float], y: Sequence[float]) -> np.ndarray:
    """The least-squares line through the logarithms."""
    slope, start = np.polyfit(np.log10(x), np.log10(y), 1)
    return 10 ** (start + slope * np.log10(x))


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


def _formatter(unit: Unit) -> Callable[[float, int], str]:
    return lambda value, _: say_tick(value, unit) if value else "0"


def _handles(axes: Axes) -> list[tuple[str, object]]:
    handles, labels = axes.get_legend_handles_labels()
    return list(zip(labels, handles, strict=True))
