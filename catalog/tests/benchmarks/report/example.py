"""A hand-made run with every experiment and every strategy, for tests of reports."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

from catalog.benchmarks.experiments.selection import presented
from catalog.benchmarks.figures.results import Environment, ExperimentResult, Figure, Run, Series
from catalog.benchmarks.strategies import registry

STRATEGIES = tuple(registry.STRATEGIES)
MEDIANS = {
    "uncached": 5e-3,
    "textbook": 1.1e-3,
    "builtin": 0.9e-3,
    "readcache": 5.1e-4,
    "floor": 2.3e-4,
    "floor-get": 4.1e-4,
}
# 0 is fresh, 1 is stale in a race, 2 is always stale; textbook, then builtin.
WRITES = {
    "save": (1, 2),
    "save_in_transaction": (1, 2),
    "save_rolled_back": (0, 0),
    "delete": (1, 2),
    "queryset_update": (2, 2),
    "queryset_delete": (1, 2),
    "bulk_create": (2, 2),
    "bulk_create_updating_conflicts": (2, 2),
    "bulk_update": (2, 2),
    "tags_add": (2, 2),
    "tags_clear": (2, 2),
    "category_renamed": (2, 2),
    "raw_sql": (2, 2),
    "admin": (1, 2),
    "second_process": (1, 2),
}


def example_run() -> Run:
    return Run(
        path="/products/",
        seed=0,
        effort="quick",
        products=10_060,
        simulated_latency_seconds=0.0,
        environment=Environment(
            cpu="Example CPU @ 3.00GHz",
            cores=4,
            system="Linux",
            versions={"python": "3.11.7", "django": "5.2.19", "redis server": "7.2.4", "sqlite": "3.40.1"},
        ),
        strategies=registry.describe([*registry.STRATEGIES.values(), *registry.FLOORS]),
        experiments=(
            latency(),
            throughput(),
            invalidation(),
            freshness(),
            stampede(),
            leak(),
            outage(),
            growth(),
        ),
    )


def latency() -> ExperimentResult:
    chance = random.Random(0)
    figures, series = [], []
    for case, spread, slow in (("cold", 0.05, 0.0), ("hit", 0.12, 0.0), ("mix", 0.2, 0.25)):
        for strategy, median in MEDIANS.items():
            middle = MEDIANS["uncached"] if case == "cold" and "floor" not in strategy else median
            values = tuple(
                middle * chance.lognormvariate(0, spread) * (8 if chance.random() < slow else 1)
                for _ in range(10 if case == "cold" else 150)
            )
            series.append(Series(strategy=strategy, case=case, name="time", unit="s", values=values))
            figure = partial(Figure, strategy=strategy, case=case)
            figures += [
                figure(name="p50", value=sorted(values)[len(values) // 2], unit="s", series="time"),
                figure(name="p99", value=None if case == "cold" else max(values), unit="s"),
                figure(name="floors", value=middle / MEDIANS["floor-get"], unit="ratio", low=1.2, high=1.3),
                figure(name="requests_per_second", value=1 / middle, unit="1/s", better="higher"),
            ]
    result = ExperimentResult(
        experiment="latency",
        parameters={
            "path": "/products/",
            "requests": 150,
            "warmup": 20,
            "mix_requests": 150,
            "mix_pages": 61,
        },
        figures=tuple(figures),
        series=tuple(series),
        verdicts=tuple(
            f"{name}: a repeat request is {MEDIANS['uncached'] / MEDIANS[name]:.1f} times faster."
            for name in STRATEGIES[1:]
        ),
        warnings=tuple(
            f"{name}: the standard deviation is {12 + place}% of the mean. Close other programs."
            for place, name in enumerate(MEDIANS)
        ),
    )
    return presented(result)


def throughput() -> ExperimentResult:
    return _result("throughput", tuple(_throughput_figures()), path="/products/")


def _throughput_figures() -> Iterator[Figure]:
    for workers in (1, 2, 4):
        for clients in (1, 4, 16):
            for strategy, median in MEDIANS.items():
                figure = partial(Figure, strategy=strategy, case=f"w{workers}c{clients}")
                busy = min(workers, clients)
                rate = busy / (median + 1e-3)
                yield figure(name="requests_per_second", value=rate, unit="1/s", better="higher")
                yield figure(name="p50", value=clients / rate, unit="s")
                yield figure(name="p99", value=2 * clients / rate, unit="s")
                yield figure(
                    name="of_floor", value=(1.41e-3) / (median + 1e-3), unit="share", better="higher"
                )
                yield figure(name="errors", value=0, unit="count")


def invalidation() -> ExperimentResult:
    figures = []
    for kind, degrees in WRITES.items():
        for strategy, degree in zip(STRATEGIES, (0, *degrees, 0), strict=True):
            figure = partial(Figure, strategy=strategy, case=kind)
            figures += [
                figure(name="stale", value=int(degree == 2), unit="count"),
                figure(name="stale_race", value=int(degree >= 1), unit="count"),
                figure(name="write", value=MEDIANS[strategy] / 2, unit="s"),
            ]
    for strategy in STRATEGIES:
        of_strategy = [figure for figure in figures if figure.strategy == strategy]
        figures += [
            Figure(
                strategy=strategy,
                case="invalidation",
                name=name,
                value=sum(figure.value or 0 for figure in of_strategy if figure.name == name),
                unit="count",
            )
            for name in ("stale", "stale_race")
        ]
    return _result("invalidation", tuple(figures))


def freshness() -> ExperimentResult:
    stale = {"uncached": 0, "textbook": 1356, "builtin": 2405, "readcache": 0}
    figures = []
    for strategy, number in stale.items():
        figure = partial(Figure, strategy=strategy, case="freshness")
        figures += [
            figure(name="reads", value=2535, unit="count", better="neither"),
            figure(name="hit_share", value=0.83, unit="share", better="higher"),
            figure(name="stale", value=number, unit="count"),
            figure(name="stale_per_million", value=number / 2535 * 1e6, unit="count"),
            figure(name="oldest_stale", value=number / 5000, unit="s"),
        ]
    return _result("freshness", tuple(figures))


def stampede() -> ExperimentResult:
    computations = {"uncached": 50, "textbook": 50, "builtin": 48, "readcache": 1}
    figures = []
    for strategy, number in computations.items():
        figure = partial(Figure, strategy=strategy, case="stampede")
        figures += [
            figure(name="computations", value=number, unit="count"),
            figure(name="wait_p50", value=number * 0.006, unit="s"),
            figure(name="wait_max", value=number * 0.011, unit="s"),
        ]
    return _result("stampede", tuple(figures), path="/products/", rounds=3)


def leak() -> ExperimentResult:
    roles = ("visitor", "user", "admin")
    cases = [f"{a}_{b}_{form}" for form in ("html", "json") for a in roles for b in roles if a != b]
    figures = []
    for strategy in STRATEGIES:
        leaks = {case: int(strategy in ("textbook", "builtin") and case.endswith("html")) for case in cases}
        figures += [
            Figure(strategy=strategy, case=case, name="leaks", value=number, unit="count")
            for case, number in leaks.items()
        ]
        total = sum(leaks.values())
        figures.append(Figure(strategy=strategy, case="leak", name="found", value=total, unit="count"))
    return _result("leak", tuple(figures))


def outage() -> ExperimentResult:
    worst = {
        "uncached": (1.0, 0.008),
        "textbook": (0.0, 5.0),
        "builtin": (0.0, 5.0),
        "readcache": (1.0, 0.26),
    }
    figures = []
    for strategy, (share, slowest) in worst.items():
        for case, factor in (("refused", 0.1), ("hung", 1.0), ("restarted", 0.05)):
            figure = partial(Figure, strategy=strategy, case=case)
            figures += [
                figure(name="ok", value=share if case != "restarted" else 1, unit="share", better="higher"),
                figure(name="server_errors", value=0 if share or case == "restarted" else 40, unit="count"),
                figure(name="max", value=slowest * factor, unit="s"),
                figure(name="recovery", value=0.3, unit="s"),
                figure(name="stale", value=7 if strategy == "textbook" else 0, unit="count"),
            ]
    return _result("outage", tuple(figures))


def growth() -> ExperimentResult:
    figures = []
    slopes = {"uncached": (0.9, 0.9, 0.0), "textbook": (0.0, 0.9, 0.0), "builtin": (0.0, 0.9, 0.0)}
    for strategy in STRATEGIES:
        hit, miss, write = slopes.get(strategy, (0.01, 0.92, 0.02))
        for size in (1_000, 10_000, 100_000):
            figure = partial(Figure, strategy=strategy, case=f"products_{size}", unit="s")
            scale = size / 10_000
            figures += [
                figure(name="hit", value=MEDIANS[strategy] * scale**hit),
                figure(name="miss", value=5e-3 * scale**miss),
                figure(name="write", value=8e-4 * scale**write),
            ]
        slope = partial(Figure, strategy=strategy, case="slope_products", unit="ratio")
        figures += [
            slope(name="hit", value=hit),
            slope(name="miss", value=miss),
            slope(name="write", value=write),
        ]
    for strategy, start, rise, memory in (("textbook", 9e-3, 1.0, 42_000), ("readcache", 2e-4, 0.0, 7_000)):
        for size in (1_000, 10_000, 100_000):
            figure = partial(Figure, strategy=strategy, case=f"keys_{size}")
            figures += [
                figure(name="invalidation", value=start * (size / 1000) ** rise, unit="s"),
                figure(name="memory_per_page", value=memory, unit="bytes"),
            ]
        figures.append(
            Figure(strategy=strategy, case="slope_keys", name="invalidation", value=rise, unit="ratio")
        )
    parameters = {"path": "/products/", "without_invalidation": ["builtin"]}
    return _result("growth", tuple(figures), **parameters)


def _result(experiment: str, figures: tuple[Figure, ...], **parameters: Any) -> ExperimentResult:
    result = ExperimentResult(
        experiment=experiment,
        parameters=parameters,
        figures=figures,
        verdicts=tuple(f"{name}: a sentence about {experiment}." for name in STRATEGIES),
    )
    return presented(result)
