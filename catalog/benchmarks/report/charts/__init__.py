"""Charts of a run: one module for each form of chart, and the overview of all experiments."""

from __future__ import annotations

from collections.abc import Callable

from catalog.benchmarks.figures.results import ExperimentResult, Run
from catalog.benchmarks.report.charts.bars import freshness_charts, stampede_charts
from catalog.benchmarks.report.charts.distributions import latency_charts
from catalog.benchmarks.report.charts.drawing import Chart, DrawnChart, draw
from catalog.benchmarks.report.charts.matrices import MATRICES, matrix_charts
from catalog.benchmarks.report.charts.overview import overview_charts
from catalog.benchmarks.report.charts.scaling import growth_charts, throughput_charts

__all__ = ["OVERVIEW", "DrawnChart", "charts_of", "draw_charts"]

OVERVIEW = "overview"
CHARTS: dict[str, Callable[[ExperimentResult], list[Chart]]] = {
    "latency": latency_charts,
    "throughput": throughput_charts,
    "freshness": freshness_charts,
    "stampede": stampede_charts,
    "growth": growth_charts,
    **dict.fromkeys(MATRICES, matrix_charts),
}


def charts_of(result: ExperimentResult) -> list[Chart]:
    """Empty for an experiment without charts, or without the figures for them."""
    return CHARTS[result.experiment](result) if result.experiment in CHARTS else []


def draw_charts(run: Run, drawn: dict[str, list[DrawnChart]] | None = None) -> dict[str, list[DrawnChart]]:
    """The charts of each experiment by its name, and the overview.

    Takes the charts of experiments in ``drawn`` from there, and adds the others to it.
    """
    drawn = {} if drawn is None else drawn
    for result in run.experiments:
        if result.experiment not in drawn:
            drawn[result.experiment] = [draw(chart) for chart in charts_of(result)]
    return {OVERVIEW: [draw(chart) for chart in overview_charts(run)], **drawn}
