"""Growth with the number of products and of keys, on log-log axes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.lines import Panel, draw_panels, lines_of
from catalog.benchmarks.report.charts.style import Chart, cases_of

PANELS = {
    "products": ("products in the catalogue", {"hit": "a hit", "miss": "a miss", "write": "a write"}),
    "keys": ("keys in Redis", {"invalidation": "an invalidation", "memory_per_page": "memory of a page"}),
}


def growth_charts(result: ExperimentResult) -> list[Chart]:
    """One chart for products and one for keys. Each has a panel for each figure."""
    charts = []
    for prefix, (thing, names) in PANELS.items():
        panels = [_panel(result, prefix, name, title) for name, title in names.items()]
        panels = [panel for panel in panels if panel.lines]
        if panels:
            charts.append(_chart(prefix, thing, panels))
    return charts


def _chart(prefix: str, thing: str, panels: Sequence[Panel]) -> Chart:
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


def _panel(result: ExperimentResult, prefix: str, name: str, title: str) -> Panel:
    matches = (re.fullmatch(rf"{prefix}_(\d+)", case) for case in cases_of(result))
    lines = lines_of(result, name, {int(match[1]): match[0] for match in matches if match})
    slopes = {strategy: result.figure(strategy, f"slope_{prefix}", name) for strategy in lines}
    return Panel(
        title=title.capitalize(),
        unit="bytes" if name == "memory_per_page" else "s",
        lines=lines,
        slopes={each: slope.value for each, slope in slopes.items() if slope and slope.value is not None},
    )
