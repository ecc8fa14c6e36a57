"""Everything on one card: a line an experiment, a column a strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Run
from catalog.benchmarks.figures.units import NOT_MEASURED, say
from catalog.benchmarks.report.charts.matrices import NOTHING, Row, Verdict, matrix
from catalog.benchmarks.report.charts.style import Chart, strategies_of

Line = Callable[[ExperimentResult, str], Verdict]


def overview_charts(run: Run) -> list[Chart]:
    """Lines only of what was measured; none for less than two."""
    figures = [figure for result in run.experiments for figure in result.figures]
    strategies = strategies_of(figures, leave_out=names.FLOORS)
    rows = [row for result in run.experiments for row in _rows(result, strategies)]
    if len(rows) < 2:
        return []
    return matrix(
        rows,
        strategies,
        name="overview",
        title="Everything at a glance",
        caption="✗ marks what is wrong. Each is a figure of the tables that follow.",
    )


def _rows(result: ExperimentResult, strategies: Sequence[str]) -> list[Row]:
    rows = [
        (head, [line(result, strategy) for strategy in strategies])
        for head, line in LINES.get(result.experiment, {}).items()
    ]
    return [row for row in rows if any(cell.text for cell in row[1])]


def _quantity(case: str, name: str) -> Line:
    def line(result: ExperimentResult, strategy: str) -> Verdict:
        figure = result.figure(strategy, case, name)
        return NOTHING if figure is None else Verdict(say(figure.value, figure.unit), "none")

    return line


def _fault(name: str, *, fine: float = 0, worst: bool = False) -> Line:
    """The figure of this name, the sum or the worst over all cases; wrong where it is above ``fine``."""

    def line(result: ExperimentResult, strategy: str) -> Verdict:
        found = list(_of(result, strategy, name))
        if not found:
            return NOTHING
        values = [figure.value for figure in found if figure.value is not None]
        if not values:
            return Verdict(NOT_MEASURED, "none")
        value = max(values) if worst else sum(values)
        said = say(round(value), "count")
        # What is uncached is what the others are compared with, and not at fault for it.
        return Verdict(said, "none") if strategy == names.UNCACHED else _judged(said, is_bad=value > fine)

    return line


def _most(name: str) -> Line:
    def line(result: ExperimentResult, strategy: str) -> Verdict:
        found = list(_of(result, strategy, name))
        best = max(found, key=lambda figure: figure.value or 0, default=None)
        return NOTHING if best is None else Verdict(say(best.value, best.unit), "none")

    return line


def _unnoticed(result: ExperimentResult, strategy: str) -> Verdict:
    """Kinds of write, not answers: ``7 of 18``."""
    kinds: dict[str, bool] = {}
    for figure in result.figures:
        is_kind = figure.strategy == strategy and figure.case != result.experiment
        if is_kind and figure.name in ("stale", "stale_race"):
            kinds[figure.case] = kinds.get(figure.case, False) or bool(figure.value)
    if not kinds:
        return NOTHING
    return _judged(f"{sum(kinds.values())} of {len(kinds)}", is_bad=any(kinds.values()))


def _answered(result: ExperimentResult, strategy: str) -> Verdict:
    """The worst of the cases."""
    shares = [figure.value for figure in _of(result, strategy, "ok") if figure.value is not None]
    return _judged(say(min(shares), "share"), is_bad=min(shares) < 1) if shares else NOTHING


def _judged(text: str, *, is_bad: bool) -> Verdict:
    return Verdict(f"✗ {text}", "bad") if is_bad else Verdict(text, "good")


def _slope(name: str) -> Line:
    def line(result: ExperimentResult, strategy: str) -> Verdict:
        if strategy in (names.UNCACHED, *result.parameters.get("without_invalidation", ())):
            # What does nothing does not grow.
            return Verdict("none", "none")
        found = (result.figure(strategy, f"slope_{over}", name) for over in ("products", "keys"))
        figure = next((each for each in found if each), None)
        return (
            NOTHING if figure is None or figure.value is None else Verdict(say(figure.value, "ratio"), "none")
        )

    return line


def _of(result: ExperimentResult, strategy: str, name: str) -> Iterable[Figure]:
    """Of every case but the experiment's own total, unless there is nothing else."""
    found = [figure for figure in result.figures if figure.strategy == strategy and figure.name == name]
    parts = [figure for figure in found if figure.case != result.experiment]
    return parts or found


LINES: dict[str, dict[str, Line]] = {
    "latency": {
        "a repeat request, median": _quantity("hit", "p50"),
        "a request of a mix, median": _quantity("mix", "p50"),
    },
    "throughput": {"requests per second, at most": _most("requests_per_second")},
    "invalidation": {"kinds of write that can leave a page stale": _unnoticed},
    "freshness": {"stale answers per million reads": _fault("stale_per_million")},
    "stampede": {"computations of one cold page": _fault("computations", fine=1, worst=True)},
    "leak": {"pages seen by the wrong person": _fault("found")},
    "outage": {"answered while Redis is away": _answered},
    "growth": {"slope of an invalidation by keys": _slope("invalidation")},
}
