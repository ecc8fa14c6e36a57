"""What happens with more products and more keys, on log-log axes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from catalog.benchmarks.figures.results import ExperimentResult, Unit
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.lines import Panel, cases_of, draw_panels
from catalog.benchmarks.report.charts.style import Chart, strategies_of


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
        f"{panel.title}: "
        + ", ".join(f"{name} {say(slope, 'ratio')}" for name, slope in panel.slopes.items())
        for panel in panels
        if panel.slopes
    )
    return Chart(
        name=f"growth-{prefix}",
        title=f"What happens with more {thing}",
        caption=(
            "Both axes are logarithmic. The dashed lines have the fitted slopes, which stand beside them: 0 "
            "stays as it is, 1 grows as fast as the number does."
        ),
        alt=f"Slopes of the fitted lines. {said}.",
        height_inches=2.9,
        draw=partial(draw_panels, rows=[panels], x_label=thing),
    )


def _growth_panel(result: ExperimentResult, prefix: str, name: str, title: str) -> Panel:
    lines, slopes = {}, {}
    unit: Unit = "s"
    sized = [
        (int(match[1]), case)
        for case in cases_of(result)
        if (match := re.fullmatch(rf"{prefix}_(\d+)", case))
    ]
    for strategy in strategies_of(result.figures):
        found = [(size, result.figure(strategy, case, name)) for size, case in sorted(sized)]
        points = [
            (float(x), figure.value) for x, figure in found if figure and figure.value and figure.value > 0
        ]
        unit = next((figure.unit for _, figure in found if figure), unit)
        if points:
            lines[strategy] = points
            slope = result.figure(strategy, f"slope_{prefix}", name)
            if slope is not None and slope.value is not None:
                slopes[strategy] = slope.value
    return Panel(title=title.capitalize(), unit=unit, lines=lines, slopes=slopes)
