"""Which writes does a cache notice, and at what price?

Measures: the time of ``Product.save()`` with only the strategy's own invalidation connected, and
whether the next answer, warm before the save, shows it. Leaves out: readers that overlap the write.
"""

from __future__ import annotations

import time
from functools import partial

from catalog.benchmarks.client import Requester
from catalog.benchmarks.isolation import garbage_collector_off
from catalog.benchmarks.own_rows import OwnRows, own_rows
from catalog.benchmarks.plan import Plan, Scale
from catalog.benchmarks.results import ExperimentResult, Figure, Series
from catalog.benchmarks.statistics import NANOSECONDS, summarise
from catalog.benchmarks.strategies import UNCACHED, Strategy, only_invalidation_of
from catalog.benchmarks.tables import Table, tabulate
from catalog.models import Product

QUESTION = "Which writes does a cache notice, and at what price?"
WRITES = True

ROUNDS = Scale(quick=5, normal=10, thorough=30)
SECONDS_PER_ROUND = 0.03
CASE = "save"


def estimate_seconds(plan: Plan) -> float:
    return len(plan.strategies) * ROUNDS.at(plan.effort) * SECONDS_PER_ROUND


def measure(plan: Plan) -> ExperimentResult:
    figures: list[Figure] = []
    series = []
    with own_rows(3) as rows:
        for strategy in plan.strategies:
            with only_invalidation_of(strategy), garbage_collector_off():
                times, stale = _measure_saves(strategy, rows, plan)
            series.append(Series(strategy=strategy.name, case=CASE, name="write", unit="s", values=times))
            figure = partial(Figure, strategy=strategy.name, case=CASE)
            figures += [
                figure(name="stale", value=stale, unit="count"),
                figure(name="write", value=summarise(times).p50, unit="s", series="write"),
            ]
    return ExperimentResult(
        experiment="invalidation",
        parameters={"rounds": ROUNDS.at(plan.effort)},
        figures=tuple(figures),
        series=tuple(series),
        verdicts=tuple(
            f"{figure.strategy}: {figure.value:g} answers after a save were stale."
            for figure in figures
            if figure.name == "stale" and figure.strategy != UNCACHED.name
        ),
    )


def tables(result: ExperimentResult) -> list[Table]:
    return [
        tabulate(
            "A save, and the answer after it",
            result.figures,
            columns={"write": "write", "stale": "stale answers"},
            is_bad=lambda figure: figure.name == "stale" and bool(figure.value),
        )
    ]


def _measure_saves(strategy: Strategy, rows: OwnRows, plan: Plan) -> tuple[tuple[float, ...], int]:
    requester, path = Requester(), rows.list_path
    times, stale = [], 0
    for number in range(ROUNDS.at(plan.effort)):
        requester.ask(strategy, path)
        product = Product.objects.get(pk=rows.products[0])
        product.stock = number
        started = time.perf_counter_ns()
        product.save()
        times.append((time.perf_counter_ns() - started) / NANOSECONDS)
        stale += requester.ask(strategy, path).body != requester.ask(UNCACHED, path).body
        plan.on_progress(SECONDS_PER_ROUND)
    return tuple(times), stale
