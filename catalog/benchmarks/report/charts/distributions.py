"""Distributions of the times of requests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.report.charts.drawing import PAINT, Chart, colour_of, use_log_axis

CASES = {
    "cold": "First request, nothing cached",
    "hit": "Repeat requests",
    "mix": "A mix of pages, with misses",
}
GRID_POINTS = 100
FEWEST_DIFFERENT = 5
ROW_INCHES = 0.3
HILL_ROWS = 0.7


def latency_charts(result: ExperimentResult) -> list[Chart]:
    """A panel for each case that has samples, with a row for each strategy."""
    cases = [case for case in CASES if any(series.case == case for series in result.series)]
    if not cases:
        return []
    strategies = result.strategies
    chart = Chart(
        name="latency",
        title="How long requests take",
        caption=(
            "Each hill is the distribution of the times of one strategy's requests, on a logarithmic axis: "
            "the farther left, the faster. The line in it is the median, which also stands at the right. "
            "The bar below goes from the 5th to the 95th percentile."
        ),
        alt=_alt(result, cases, strategies),
        height_inches=0.5 + len(cases) * (0.45 + ROW_INCHES * len(strategies)),
        draw=partial(_draw, result=result, cases=cases, strategies=strategies),
    )
    return [chart]


def _alt(result: ExperimentResult, cases: Sequence[str], strategies: Sequence[str]) -> str:
    parts = []
    for case in cases:
        medians = [(name, result.figure(name, case, "p50")) for name in strategies]
        said = ", ".join(f"{name} {say(median.value, 's')}" for name, median in medians if median)
        parts.append(f"{CASES[case]}: {said}")
    return f"Median times. {'; '.join(parts)}."


def _draw(
    canvas: Canvas,
    *,
    result: ExperimentResult,
    cases: Sequence[str],
    strategies: Sequence[str],
) -> None:
    panels = canvas.subplots(len(cases), sharex=True, squeeze=False)[:, 0]
    everything = [value for series in result.series for value in series.values]
    for axes, case in zip(panels, cases, strict=True):
        use_log_axis(axes, "x", "s", everything)
        axes.set_title(CASES[case])
        axes.set_yticks(range(len(strategies)), strategies)
        axes.tick_params(axis="y", labelcolor=PAINT["ink"])
        axes.set_ylim(len(strategies) - 0.65, -0.95)
        axes.spines["left"].set_visible(False)
        for row, name in enumerate(strategies):
            samples = result.samples(name, case, "time")
            if samples:
                _draw_row(axes, row, samples, colour_of(name, strategies))
    panels[-1].set_xlabel("time of one request (logarithmic)")


def _draw_row(axes: Axes, row: int, samples: Sequence[float], colour: str) -> None:
    low, median, high = np.percentile(samples, [5, 50, 95])
    axes.plot([low, high], [row + 0.12] * 2, color=colour, linewidth=3, solid_capstyle="butt")
    if len(set(samples)) >= FEWEST_DIFFERENT:
        points, density = _density(samples)
        axes.fill_between(points, row, row - HILL_ROWS * density, color=colour, alpha=0.35, linewidth=0)
        axes.plot(points, row - HILL_ROWS * density, color=colour, linewidth=1)
    axes.plot([median, median], [row + 0.22, row - HILL_ROWS], color=PAINT["ink"], linewidth=1.4)
    axes.annotate(
        say(float(median), "s"),
        (1, row),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
    )


def _density(samples: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The density of the logarithms, by a Gaussian kernel of Scott's bandwidth. The peak is 1."""
    # SciPy takes most of a second to import.
    from scipy.stats import gaussian_kde

    logarithms = np.log10(samples)
    points = np.linspace(logarithms.min(), logarithms.max(), GRID_POINTS)
    density = gaussian_kde(logarithms)(points)
    return 10**points, density / density.max()
