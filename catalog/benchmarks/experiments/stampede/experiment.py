"""What does a cold page cost under load?

Measures fifty requests for one page that nothing has cached. They are sent at the same moment to
gunicorn, which has as many threads, so that no request waits for a thread. The server counts the
queries of each response, and a response that took queries computed the page. (So a strategy that
queries the database at every hit would seem to compute the page, too.) The wait of a request lasts
from sending it, on a connection that is open already, to the last byte of the response.

The shop's views wait ``LATENCY_SECONDS`` before their first query, as for a busy database, because all
requests must be sent before the first response. ``--simulate-latency`` does not change this. On a faster
page a stampede is smaller and harder to see. The strategies take turns on one server, in an order that
is shuffled in each round.

Vattani, Chierichetti and Lowenstein, Optimal Probabilistic Cache Stampede Prevention, VLDB 2015,
describe the problem and the remedy of computing a page once. Leaves out pages that expire while they are
requested, and more requests than a server has threads.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from catalog.benchmarks.clients.http import wait_until_ready
from catalog.benchmarks.experiments.stampede.bursts import BurstRequest, send_burst
from catalog.benchmarks.experiments.stampede.database_room import least_room
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Series, Table
from catalog.benchmarks.figures.statistics import NANOSECONDS, summarise
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.processes.servers import Server, running_servers
from catalog.benchmarks.sandbox.isolation import empty_cache, garbage_collector_off
from readcache.wording import counted

QUESTION = "What does a cold page cost under load?"
WRITES = False
SECONDS_PER_STRATEGY = Scale(quick=2.8, normal=6.3, thorough=16.0)

REQUESTS = 50
WORKERS = 4
# All workers together have two threads more than there are requests.
THREADS_PER_WORKER = 13
LATENCY_SECONDS = 0.2
ROUNDS = Scale(quick=3, normal=10, thorough=30)
WARMUP_ROUNDS = 1
CASE = "stampede"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The counts of one strategy, round by round.

    ``waits`` are the seconds of all requests without an error. ``complaints`` are the last words of the
    server after each round with errors.
    """

    computations: list[int] = field(default_factory=list)
    overlapping: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def is_cold(self) -> bool:
        """Whether each round computed the page. A round that did not had no cold page."""
        return all(self.computations)

    def add(self, burst: Sequence[BurstRequest], *, complaint: Callable[[], str] = str) -> None:
        first_end_ns = min(each.ended_ns for each in burst)
        answered = [each for each in burst if not each.is_error]
        self.computations.append(sum(each.queries > 0 for each in burst))
        self.overlapping.append(sum(each.started_ns < first_end_ns for each in burst))
        self.waits.extend((each.ended_ns - each.started_ns) / NANOSECONDS for each in answered)
        self.errors.append(len(burst) - len(answered))
        if self.errors[-1]:
            self.complaints.append(complaint())


def measure(options: Options) -> ExperimentResult:
    reason = _lacks_connections(options)
    if reason:
        options.on_progress(1)
        return ExperimentResult(experiment="stampede", parameters={}, figures=(), warnings=(reason,))
    tallies = {strategy.name: Tally() for strategy in options.strategies}
    with _servers(options) as servers, garbage_collector_off():
        for strategy in options.strategies:
            wait_until_ready(servers[strategy.name], strategy.url(options.path))
        # In the warm-up rounds, which do not count, every worker starts up.
        rounds = WARMUP_ROUNDS + ROUNDS.at(options.effort)
        for number, order in enumerate(options.shuffled(options.strategies, rounds=rounds)):
            for strategy in order:
                # The page must be cold in every round.
                empty_cache()
                server = servers[strategy.name]
                burst = send_burst(server, strategy.url(options.path), REQUESTS)
                if number >= WARMUP_ROUNDS:
                    tallies[strategy.name].add(burst, complaint=server.process.last_words)
                options.on_progress(1 / (rounds * len(order)))
    return _result(options, tallies)


def _lacks_connections(options: Options) -> str:
    """The reason to skip the experiment; empty if the database accepts a connection from each thread."""
    servers = 1 + sum(strategy.own_process for strategy in options.strategies)
    needed = servers * WORKERS * THREADS_PER_WORKER
    room = least_room()
    if room is None or room[1] >= needed:
        return ""
    setting, free = room
    return (
        f"stampede was skipped: it needs {needed} connections to the database at once, and "
        f"{max(free, 0)} are free. Raise {setting}, or close other programs."
    )


def _servers(options: Options) -> AbstractContextManager[Mapping[str, Server]]:
    return running_servers(
        options.strategies,
        workers=WORKERS,
        threads=THREADS_PER_WORKER,
        counts_queries=True,
        environment={
            "SIMULATED_LATENCY_SECONDS": str(LATENCY_SECONDS),
            # A worker accepts as many connections as it has threads, and leaves the rest to other workers.
            "GUNICORN_CMD_ARGS": f"--worker-connections {THREADS_PER_WORKER}",
        },
    )


def tables(result: ExperimentResult) -> list[Table]:
    if not result.figures:
        return []
    path, rounds = result.parameters["path"], counted(result.parameters["rounds"], "round")
    return [
        tabulate(
            f"{REQUESTS} requests at once for {path}, nothing cached, {rounds}",
            result.figures,
            columns={
                "computations": "computed",
                "computations_max": "worst round",
                "wait_p50": "wait p50",
                "wait_max": "wait max",
                "errors": "errors",
            },
            is_bad=_is_fault,
            legend=(
                "computed: how often the page was computed, as the median of the rounds. "
                f"Computing it takes at least {LATENCY_SECONDS:g} s."
            ),
        )
    ]


def _result(options: Options, tallies: dict[str, Tally]) -> ExperimentResult:
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
        figures=tuple(figure for name, tally in tallies.items() for figure in _figures(name, tally)),
        series=tuple(series for name, tally in tallies.items() for series in _series(name, tally)),
        verdicts=tuple(_verdict(name, tally) for name, tally in tallies.items()),
        warnings=tuple(line for name, tally in tallies.items() for line in _warnings(name, tally)),
    )


def _figures(name: str, tally: Tally) -> Iterator[Figure]:
    figure = partial(Figure, strategy=name, case=CASE)
    count, seconds = partial(figure, unit="count"), partial(figure, unit="s", series="wait")
    waits = summarise(tally.waits) if tally.waits else None
    median, worst = statistics.median(tally.computations), max(tally.computations)
    yield count(name="computations", value=median if tally.is_cold else None, series="computations")
    yield count(name="computations_max", value=worst if tally.is_cold else None)
    yield seconds(name="wait_p50", value=waits.p50 if waits else None)
    yield seconds(name="wait_max", value=waits.max if waits else None)
    yield count(name="errors", value=sum(tally.errors))


def _series(name: str, tally: Tally) -> Iterator[Series]:
    series = partial(Series, strategy=name, case=CASE)
    yield series(name="computations", unit="count", values=tuple(map(float, tally.computations)))
    yield series(name="wait", unit="s", values=tuple(tally.waits))


def _is_fault(figure: Figure) -> bool:
    if figure.value is None:
        return False
    if figure.name.startswith("computations"):
        # Without a cache every request computes the page.
        return figure.strategy != names.UNCACHED and figure.value > 1
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
        fault = "" if name == names.UNCACHED else ": a STAMPEDE"
        said = f"was computed {times}{up_to}{fault}"
    waited = f"; the longest wait was {say(max(tally.waits), 's')}" if tally.waits else ""
    failed = f"; {counted(sum(tally.errors), 'response')} FAILED" if any(tally.errors) else ""
    return f"{name}: a cold page, requested {REQUESTS} times at once, {said}{waited}{failed}."


def _warnings(name: str, tally: Tally) -> Iterator[str]:
    if any(tally.errors):
        yield f"{name}: {counted(sum(tally.errors), 'request')} failed. {tally.complaints[-1]}"
    elif not tally.is_cold:
        yield (
            f"{name}: no query was needed although its cache was empty. Choose a --path that takes queries, "
            "and a strategy that keeps its pages in Redis."
        )
    elif min(tally.overlapping) < REQUESTS:
        yield (
            f"{name}: only {min(tally.overlapping)} of {REQUESTS} requests were sent before the first "
            "response. Close other programs."
        )
