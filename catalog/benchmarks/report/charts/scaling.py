"""Lines over a size: the load of a server, the number of products, and the number of keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.bars import bars_chart
from catalog.benchmarks.report.charts.drawing import Chart
from catalog.benchmarks.report.charts.lines import Panel, draw_panels, lines_of
from readcache.wording import counted

TITLE = "Throughput and latency of a real server"
LATENCY = "Latency counts from the time at which a request was due, at half of the highest rate."
LOAD = re.compile(r"w(\d+)c(\d+)")
PANELS = {
    "products": ("products in the catalogue", {"hit": "a hit", "miss": "a miss", "write": "a write"}),
    "keys": ("keys in Redis", {"invalidation": "an invalidation", "memory_per_page": "memory of a page"}),
}


def throughput_charts(result: ExperimentResult) -> list[Chart]:
    """A column for each number of workers: requests per second above, latency below."""
    matches = (match for match in map(LOAD.fullmatch, result.cases) if match)
    loads = sorted((int(match[1]), int(match[2])) for match in matches)
    if len(loads) > 1:
        return [_load_chart(result, loads)]
    said = "".join(f"{counted(w, 'worker')}, asked by {counted(c, 'client')} at once. " for w, c in loads)
    panels = {"requests_per_second": "requests per second", "p50": "median latency"}
    # One load is no line.
    return bars_chart(result, panels, title=TITLE, caption=f"{said}{LATENCY}")


def _load_chart(result: ExperimentResult, loads: list[tuple[int, int]]) -> Chart:
    rates, p99, p50 = (_load_row(result, loads, name) for name in ("requests_per_second", "p99", "p50"))
    # In a short run, slow strategies have too few requests for a 99th percentile.
    times = p99 if _strategies(p99) == _strategies(p50) else p50
    rows = [rates, times] if _strategies(times) else [rates]
    best = {
        name: max(y for panel in rates for _, y in panel.lines.get(name, [])) for name in _strategies(rates)
    }
    said = ", ".join(f"{name} {say(value, '1/s')}" for name, value in best.items())
    return Chart(
        name="throughput",
        title=TITLE,
        caption=f"Requests per second by the number of concurrent clients, and their latency. {LATENCY}",
        alt=f"Lines by number of clients. The most requests per second: {said}.",
        height_inches=0.4 + 2.5 * len(rows),
        draw=partial(draw_panels, rows=rows, x_label="clients", share_y=True),
    )


def _load_row(result: ExperimentResult, loads: list[tuple[int, int]], name: str) -> list[Panel]:
    is_rate = name == "requests_per_second"
    return [
        Panel(
            title=counted(workers, "worker"),
            y_label="requests per second" if is_rate else f"{name} of latency",
            unit="1/s" if is_rate else "s",
            lines=lines_of(result, name, {c: f"w{w}c{c}" for w, c in loads if w == workers}),
            is_logarithmic=not is_rate,
        )
        for workers in sorted({workers for workers, _ in loads})
    ]


def _strategies(row: list[Panel]) -> dict[str, None]:
    """In the order in which they were measured."""
    return {name: None for panel in row for name in panel.lines}


def growth_charts(result: ExperimentResult) -> list[Chart]:
    """One chart for products and one for keys. Each has a panel for each figure."""
    charts = []
    for prefix, (thing, names) in PANELS.items():
        panels = [_growth_panel(result, prefix, name, title) for name, title in names.items()]
        panels = [panel for panel in panels if panel.lines]
        if panels:
            charts.append(_growth_chart(prefix, thing, panels))
    return charts


def _growth_chart(prefix: str, thing: str, panels: Sequence[Panel]) -> Chart:
    said = "; ".join(
        f"{panel.title}: "
        + ", ".join(f"{name} {say(slope, 'ratio')}" for name, slope in panel.slopes.items())
        for panel in panels
        if panel.slopes
    )
    return Chart(
        name=f"growth-{prefix}",
        title=f"What happens with more {thing}",
        caption=(
            "Both axes are logarithmic. The dashed lines have the fitted slopes, which stand beside them. A "
            "slope of 0 means no growth, a slope of 1 growth in proportion."
        ),
        alt=f"Slopes of the fitted lines. {said}.",
        height_inches=2.9,
        draw=partial(draw_panels, rows=[panels], x_label=thing),
    )


def _growth_panel(result: ExperimentResult, prefix: str, name: str, title: str) -> Panel:
    matches = (re.fullmatch(rf"{prefix}_(\d+)", case) for case in result.cases)
    lines = lines_of(result, name, {int(match[1]): match[0] for match in matches if match})
    slopes = {strategy: result.value(strategy, f"slope_{prefix}", name) for strategy in lines}
    return Panel(
        title=title.capitalize(),
        unit="bytes" if name == "memory_per_page" else "s",
        lines=lines,
        slopes={strategy: slope for strategy, slope in slopes.items() if slope is not None},
    )
