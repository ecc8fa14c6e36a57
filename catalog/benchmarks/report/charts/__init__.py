"""Charts of a run. A module a form, and one card of all."""

from __future__ import annotations

from collections.abc import Callable

from catalog.benchmarks.figures.results import ExperimentResult, Run
from catalog.benchmarks.report.charts.bars import freshness_charts, stampede_charts
from catalog.benchmarks.report.charts.distributions import latency_charts
from catalog.benchmarks.report.charts.growth import growth_charts
from catalog.benchmarks.report.charts.matrices import invalidation_charts, leak_charts, outage_charts
from catalog.benchmarks.report.charts.overview import overview_charts
from catalog.benchmarks.report.charts.style import THEMES, Chart, Form, Theme, render
from catalog.benchmarks.report.charts.throughput import throughput_charts

__all__ = ["THEMES", "Chart", "Form", "Theme", "charts_of", "overview_charts", "render"]

CHARTS: dict[str, Callable[[ExperimentResult], list[Chart]]] = {
    "latency": latency_charts,
    "throughput": throughput_charts,
    "invalidation": invalidation_charts,
    "freshness": freshness_charts,
    "stampede": stampede_charts,
    "leak": leak_charts,
    "outage": outage_charts,
    "growth": growth_charts,
}


def charts_of(run: Run) -> dict[str, list[Chart]]:
    """By experiment; an experiment without figures to draw has none."""
    return {
        result.experiment: CHARTS[result.experiment](result) if result.experiment in CHARTS else []
        for result in run.experiments
    }
