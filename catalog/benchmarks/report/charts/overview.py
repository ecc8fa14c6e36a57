"""The overview of all experiments: a row for each important figure, a column for each strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Run
from catalog.benchmarks.figures.units import NOT_MEASURED, say
from catalog.benchmarks.report.charts.drawing import Chart
from catalog.benchmarks.report.charts.matrices import NOTHING, Row, Verdict, matrix

Line = Callable[[ExperimentResult, str], Verdict]


def overview_charts(run: Run) -> list[Chart]:
    """Has a line for each measured figure. No chart if there are fewer than two lines."""
    measured = dict.fromkeys(name for result in run.experiments for name in result.strategies)
    strategies = [name for name in measured if name not in names.FLOORS]
    rows = [row for result in run.experiments for row in _rows(result, strategies)]
    if len(rows) < 2:
        return []
    return matrix(
        rows,
        strategies,
        name="overview",
        title="Everything at a glance",
        caption="✗ marks a fault. The tables below have all figures.",
    )


def _rows(result: ExperimentResult, strategies: Sequence[str]) -> list[Row]:
    lines = LINES.get(result.experiment, {}).items()
    rows = [(head, [line(result, strategy) for strategy in strategies]) for head, line in lines]
    return [row for row in rows if any(cell.text for cell in row[1])]


def _quantity(case: str, name: str) -> Line:
    def line(result: ExperimentResult, strategy: str) -> Verdict:
        figure = result.figure(strategy, case, name)
        return NOTHING if figure is None else Verdict(say(figure.value, figure.unit), "none")

    return line


def _most(name: str) -> Line:
    """The greatest figure of this name, over all cases."""

    def line(result: ExperimentResult, strategy: str) -> Verdict:
        best = max(_of(result, strategy, name), key=lambda figure: figure.value or 0, default=None)
        return NOTHING if best is None else Verdict(say(best.value, best.unit), "none")

    return line


def _fault(name: str, *, fine: float = 0) -> Line:
    """The figure of this name, which is wrong if it is greater than ``fine``."""

    def line(result: ExperimentResult, strategy: str) -> Verdict:
        figure = result.figure(strategy, result.experiment, name)
        if figure is None or figure.value is None:
            return NOTHING if figure is None else Verdict(NOT_MEASURED, "none")
        said = say(round(figure.value), "count")
        # Uncached is the baseline, so nothing about it is wrong.
        return Verdict(said, "none") if strategy == names.UNCACHED else _judged(said, figure.value > fine)

    return line


def _unnoticed(result: ExperimentResult, strategy: str) -> Verdict:
    """The number of kinds of write that can leave a page stale: ``7 of 18``."""
    kinds: dict[str, bool] = {}
    for name in ("stale", "stale_race"):
        for figure in _of(result, strategy, name):
            kinds[figure.case] = kinds.get(figure.case, False) or bool(figure.value)
    return _judged(f"{sum(kinds.values())} of {len(kinds)}", any(kinds.values())) if kinds else NOTHING


def _answered(result: ExperimentResult, strategy: str) -> Verdict:
    """The smallest share of all cases."""
    shares = [figure.value for figure in _of(result, strategy, "ok") if figure.value is not None]
    return _judged(say(min(shares), "share"), min(shares) < 1) if shares else NOTHING


def _invalidation_slope(result: ExperimentResult, strategy: str) -> Verdict:
    if strategy in (names.UNCACHED, *result.parameters.get("without_invalidation", ())):
        return Verdict("none", "none")
    return _quantity("slope_keys", "invalidation")(result, strategy)


def _judged(text: str, is_bad: bool) -> Verdict:
    return Verdict(f"✗ {text}", "bad") if is_bad else Verdict(text, "good")


def _of(result: ExperimentResult, strategy: str, name: str) -> list[Figure]:
    """The figures of this name in all cases but the totals."""
    return [
        figure
        for figure in result.figures
        if (figure.strategy, figure.name) == (strategy, name) and figure.case != result.experiment
    ]


LINES: dict[str, dict[str, Line]] = {
    "latency": {
        "a repeat request, median": _quantity("hit", "p50"),
        "a request of a mix, median": _quantity("mix", "p50"),
    },
    "throughput": {"highest rate of requests": _most("requests_per_second")},
    "invalidation": {"kinds of write that can leave a page stale": _unnoticed},
    "freshness": {"stale responses per million reads": _fault("stale_per_million")},
    "stampede": {"computations of one cold page": _fault("computations", fine=1)},
    "leak": {"pages that show another account": _fault("found")},
    "outage": {"answered while Redis is away": _answered},
    "growth": {"slope of an invalidation by keys": _invalidation_slope},
}
