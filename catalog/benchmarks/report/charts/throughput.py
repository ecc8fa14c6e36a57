"""What a real server gives, by the number of clients that ask at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.bars import bars, bars_chart
from catalog.benchmarks.report.charts.lines import Panel, cases_of, draw_panels
from catalog.benchmarks.report.charts.style import Chart, strategies_of

LATENCY = "Latency is the time from when a request was due, below the highest rate."
LOAD = re.compile(r"w(\d+)c(\d+)")


def throughput_charts(result: ExperimentResult) -> list[Chart]:
    """A column for each number of workers: requests/s above, the 99th percentile below."""
    loads = sorted(
        {tuple(map(int, match.groups())) for match in map(LOAD.fullmatch, cases_of(result)) if match}
    )
    if not loads:
        return []
    if len(loads) == 1:
        return _bars(result, *loads[0])
    workers = sorted({load[0] for load in loads})
    rates, p99, p50 = (
        [_throughput_panel(result, loads, number, name) for number in workers]
        for name in ("requests_per_second", "p99", "p50")
    )
    # A short run has too few requests for a 99th percentile, of slow strategies before others.
    times = p99 if _strategies(p99) == _strategies(p50) else p50
    rows = [rates, times] if any(panel.lines for panel in times) else [rates]
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
                f"Requests per second by the number of clients that ask at once, and their latency. {LATENCY}"
            ),
            alt=f"Lines by number of clients. The most requests per second: {said}.",
            height_inches=0.4 + 2.5 * len(rows),
            draw=partial(draw_panels, rows=rows, x_label="clients", share_y=True),
        )
    ]


def _bars(result: ExperimentResult, workers: int, clients: int) -> list[Chart]:
    """One load is no line."""
    return bars_chart(
        [bars(result, "requests_per_second", "requests per second"), bars(result, "p50", "median latency")],
        name="throughput",
        title="What a real server gives",
        caption=f"{workers} {'workers' if workers > 1 else 'worker'}, asked by {clients} clients at once. "
        f"{LATENCY}",
    )


def _strategies(panels: Sequence[Panel]) -> set[str]:
    return {name for panel in panels for name in panel.lines}


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
        y_label="requests per second" if is_rate else f"{name} of latency",
        unit="1/s" if is_rate else "s",
        lines=lines,
        slopes={},
        is_logarithmic=not is_rate,
    )
