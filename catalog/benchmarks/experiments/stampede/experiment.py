"""What does a cold page cost under load?

Measures: fifty requests for one page of which nothing is cached, let go together, to gunicorn with
as many threads as requests, so that none waits for another to be served. How often the page was
computed is counted by the server: an answer that took queries computed it. (A strategy that asks
the database at every hit would be counted as computing, too.) The wait of a request is the time
from its sending to the last byte of its answer; its connection is there before.

The shop's views wait ``LATENCY_SECONDS`` before their first query, as for a busy database, whatever
``--simulate-latency`` says: all must have asked before the first is answered. On a faster page a
stampede is smaller, and harder to see. The strategies take turns, in an order shuffled each round,
on one server.

The problem, and computing once as its remedy, are those of Vattani, Chierichetti and Lowenstein,
Optimal Probabilistic Cache Stampede Prevention, VLDB 2015. Leaves out: pages that run out while
they are asked for, and more requests than a server has threads.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from catalog.benchmarks.clients.http import wait_until_ready
from catalog.benchmarks.experiments.stampede.bursts import BurstRequest, send_burst
from catalog.benchmarks.experiments.stampede.database_room import least_room
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Series, Table
from catalog.benchmarks.figures.statistics import NANOSECONDS, summarise
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.processes.servers import Server, running_servers
from catalog.benchmarks.sandbox.isolation import empty_cache, garbage_collector_off
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy

QUESTION = "What does a cold page cost under load?"
WRITES = False

REQUESTS = 50
WORKERS = 4
# Together two more than there are requests.
THREADS_PER_WORKER = 13
LATENCY_SECONDS = 0.2
ROUNDS = Scale(quick=3, normal=10, thorough=30)
WARMUP_ROUNDS = 1
STARTING_SECONDS = 3.0
SECONDS_PER_ROUND = 0.5
CASE = "stampede"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What one strategy did, by rounds; ``waits`` are seconds, of answers that are no errors."""

    computations: list[int] = field(default_factory=list)
    overlapping: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    # What the server said last after rounds with errors.
    complaints: list[str] = field(default_factory=list)

    @property
    def is_cold(self) -> bool:
        """A round without a computation had no cold page."""
        return all(self.computations)

    def add(self, asked: Sequence[BurstRequest], *, complaint: Callable[[], str] = str) -> None:
        first_end_ns = min(each.ended_ns for each in asked)
        self.computations.append(sum(each.queries > 0 for each in asked))
        self.overlapping.append(sum(each.started_ns < first_end_ns for each in asked))
        self.waits.extend(
            (each.ended_ns - each.started_ns) / NANOSECONDS for each in asked if not each.is_error
        )
        self.errors.append(sum(each.is_error for each in asked))
        if self.errors[-1]:
            self.complaints.append(complaint())


def estimate_seconds(options: Options) -> float:
    rounds = WARMUP_ROUNDS + ROUNDS.at(options.effort)
    return STARTING_SECONDS + len(options.strategies) * rounds * SECONDS_PER_ROUND


def measure(options: Options) -> ExperimentResult:
    reason = _lacks_connections(options)
    if reason:
        options.on_progress(estimate_seconds(options))
        return ExperimentResult(experiment="stampede", parameters={}, figures=(), warnings=(reason,))
    tallies = {strategy.name: Tally() for strategy in options.strategies}
    with _servers(options) as servers, garbage_collector_off():
        for strategy in options.strategies:
            wait_until_ready(servers[strategy.name], strategy.url(options.path))
        options.on_progress(STARTING_SECONDS)
        for is_counted, strategy in _turns(options):
            # So that every round begins with a cold page.
            empty_cache()
            server = servers[strategy.name]
            asked = send_burst(server, strategy.url(options.path), REQUESTS)
            if is_counted:
                tallies[strategy.name].add(asked, complaint=server.process.last_words)
            options.on_progress(SECONDS_PER_ROUND)
    return _result(options, tallies)


def _lacks_connections(options: Options) -> str:
    """Why it cannot be done, for each thread of each server has a connection; empty if it can."""
    servers = 1 + sum(strategy.own_process for strategy in options.strategies)
    needed = servers * WORKERS * THREADS_PER_WORKER
    room = least_room()
    if room is None or room[1] >= needed:
        return ""
    setting, free = room
    return (
        f"stampede was skipped: it needs {needed} connections to the database at once, and there are "
        f"{max(free, 0)} to spare. Raise {setting}, or close other programs."
    )


def tables(result: ExperimentResult) -> list[Table]:
    if not result.figures:
        return []
    return [
        tabulate(
            f"{REQUESTS} requests at once for {result.parameters['path']}, nothing cached, "
            f"{result.parameters['rounds']} rounds",
            result.figures,
            columns={
                "computations": "computed",
                "computations_max": "worst round",
                "wait_p50": "wait p50",
                "wait_max": "wait max",
                "errors": "errors",
            },
            is_bad=_is_fault,
            legend="computed: how often, the median of the rounds. "
            f"To compute it takes {LATENCY_SECONDS:g} s and more.",
        )
    ]


def _servers(options: Options) -> AbstractContextManager[Mapping[str, Server]]:
    return running_servers(
        options.strategies,
        workers=WORKERS,
        threads=THREADS_PER_WORKER,
        seconds=2 * estimate_seconds(options),
        counts_queries=True,
        environment={
            "SIMULATED_LATENCY_SECONDS": str(LATENCY_SECONDS),
            # A worker accepts no more than it has threads for; the next connection is another's.
            "GUNICORN_CMD_ARGS": f"--worker-connections {THREADS_PER_WORKER}",
        },
    )


def _turns(options: Options) -> Iterator[tuple[bool, Strategy]]:
    """Whether a round counts, and whose it is. In those that do not, every worker starts up."""
    chance = random.Random(options.seed)
    for number in range(WARMUP_ROUNDS + ROUNDS.at(options.effort)):
        for strategy in chance.sample(options.strategies, len(options.strategies)):
            yield number >= WARMUP_ROUNDS, strategy


def _result(options: Options, tallies: dict[str, Tally]) -> ExperimentResult:
    figures = {name: _figures(name, tally) for name, tally in tallies.items()}
    return ExperimentResult(
        experiment="stampede",
        parameters={
            "path": options.path,
            "requests": REQUESTS,
            "rounds": ROUNDS.at(options.effort),
            "workers": WORKERS,
            "threads_per_worker": THREADS_PER_WORKER,
            "latency_seconds": LATENCY_SECONDS,
        },
        figures=tuple(figure for of_strategy in figures.values() for figure in of_strategy),
        series=tuple(series for name, tally in tallies.items() for series in _series(name, tally)),
        verdicts=tuple(_verdict(name, tally) for name, tally in tallies.items()),
        warnings=tuple(line for name, tally in tallies.items() for line in _warnings(name, tally)),
    )


def _figures(name: str, tally: Tally) -> list[Figure]:
    figure = partial(Figure, strategy=name, case=CASE)
    waits = summarise(tally.waits) if tally.waits else None
    return [
        figure(
            name="computations",
            value=statistics.median(tally.computations) if tally.is_cold else None,
            unit="count",
            series="computations",
        ),
        figure(
            name="computations_max", value=max(tally.computations) if tally.is_cold else None, unit="count"
        ),
        figure(name="wait_p50", value=waits.p50 if waits else None, unit="s", series="wait"),
        figure(name="wait_max", value=waits.max if waits else None, unit="s", series="wait"),
        figure(name="errors", value=sum(tally.errors), unit="count"),
    ]


def _series(name: str, tally: Tally) -> list[Series]:
    series = partial(Series, strategy=name, case=CASE)
    return [
        series(name="computations", unit="count", values=tuple(map(float, tally.computations))),
        series(name="wait", unit="s", values=tuple(tally.waits)),
    ]


def _is_fault(figure: Figure) -> bool:
    if figure.value is None:
        return False
    if figure.name.startswith("computations"):
        # Without a cache every request computes.
        return figure.strategy != UNCACHED.name and figure.value > 1
    return figure.name == "errors" and figure.value > 0


def _verdict(name: str, tally: Tally) -> str:
    median, worst = statistics.median(tally.computations), max(tally.computations)
    if not tally.is_cold:
        said = "was not computed each time, so nothing is known"
    elif worst == 1:
        said = "was computed once each time"
    else:
        times = "once" if median == 1 else f"{say(median, 'count')} times"
        up_to = f", up to {worst}" if worst > median else ""
        fault = "" if name == UNCACHED.name else ": a STAMPEDE"
        said = f"was computed {times}{up_to}{fault}"
    waited = f"; the longest wait was {say(max(tally.waits), 's')}" if tally.waits else ""
    failed = f"; {sum(tally.errors)} of the answers were ERRORS" if any(tally.errors) else ""
    return f"{name}: a cold page that {REQUESTS} asked for at once {said}{waited}{failed}."


def _warnings(name: str, tally: Tally) -> Iterator[str]:
    if any(tally.errors):
        yield (f"{name}: {sum(tally.errors)} requests failed. {tally.complaints[-1]}")
    elif not tally.is_cold:
        yield (
            f"{name}: after its cache was emptied no query was needed. "
            "Choose a --path that takes queries, and a strategy that keeps its pages in Redis."
        )
    elif min(tally.overlapping) < REQUESTS:
        yield (
            f"{name}: only {min(tally.overlapping)} of {REQUESTS} requests were under way when the first "
            "was answered. Close other programs."
        )
