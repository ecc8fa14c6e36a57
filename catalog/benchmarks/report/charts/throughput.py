"""The throughput and latency of a real server, by the number of concurrent clients."""

from __future__ import annotations

import re
from functools import partial

from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.bars import bars_chart
from catalog.benchmarks.report.charts.lines import Panel, draw_panels, lines_of
from catalog.benchmarks.report.charts.style import Chart, cases_of
from readcache.wording import counted

TITLE = "What a real server gives"
LATENCY = "Latency counts from the time at which a request was due, below the highest rate."
LOAD = re.compile(r"w(\d+)c(\d+)")


def throughput_charts(result: ExperimentResult) -> list[Chart]:
    """A column for each number of workers: requests per second above, latency below."""
    matches = (match for match in map(LOAD.fullmatch, cases_of(result)) if match)
    loads = sorted((int(match[1]), int(match[2])) for match in matches)
    if len(loads) > 1:
        return [_chart(result, loads)]
    said = "".join(f"{counted(w, 'worker')}, asked by {counted(c, 'client')} at once. " for w, c in loads)
    panels = {"requests_per_second": "requests per second", "p50": "median latency"}
    # One load is no line.
    return bars_chart(result, panels, title=TITLE, caption=f"{said}{LATENCY}")


def _chart(result: ExperimentResult, loads: list[tuple[int, int]]) -> Chart:
    rates, p99, p50 = (_row(result, loads, name) for name in ("requests_per_second", "p99", "p50"))
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


def _row(result: ExperimentResult, loads: list[tuple[int, int]], name: str) -> list[Panel]:
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
