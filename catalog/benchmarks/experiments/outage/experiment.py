"""What happens when Redis refuses connections, hangs or restarts?

Measures the answers and times of a client that sends one request after the other, and of one save in
another process, in three outages. ``refused``: Redis is stopped, and comes back with its data. ``hung``:
Redis accepts connections and does not answer until it continues. ``restarted``: Redis is started again,
empty, between two requests. It also measures how long after the return of Redis an answer comes from the
cache again, and whether answers show the save. ``bypass`` is the term of RFC 9211 for an answer without
the cache.

The method follows Basiri et al., Chaos Engineering, IEEE Software 33(3), 2016: record a steady state, cause
a realistic event, and compare. Only a scratch Redis is stopped or frozen. Leaves out: requests that queue
behind a waiting worker, a failover, and a Redis that is slow, full or read-only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from catalog.benchmarks.experiments.outage.cases import CASES, Observation, Timing, observe
from catalog.benchmarks.experiments.outage.requests import Request
from catalog.benchmarks.experiments.outage.sites import running_sites
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Series, Table
from catalog.benchmarks.figures.statistics import median_interval
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.processes.scratch_redis import missing_server
from catalog.benchmarks.sandbox.isolation import garbage_collector_off

QUESTION = "What happens when Redis refuses connections, hangs or restarts?"
WRITES = True
SECONDS_PER_STRATEGY = Scale(quick=4.4, normal=7.0, thorough=17.5)

TIMING = Scale(
    quick=Timing(outage=1.5, longest_outage=4.5, recovery=1.6, longest_recovery=4),
    normal=Timing(outage=3, longest_outage=8, recovery=3, longest_recovery=8),
    thorough=Timing(outage=10, longest_outage=15, recovery=10, longest_recovery=15),
)
TIME = "time"
# Requests and saves that take longer are marked as faults. Users notice a tenth of it.
LONG_SECONDS = 1.0


def measure(options: Options) -> ExperimentResult:
    if reason := missing_server():
        options.on_progress(1)
        warning = f"outage was skipped: {reason}"
        return ExperimentResult(experiment="outage", parameters={}, figures=(), warnings=(warning,))
    timing = TIMING.at(options.effort)
    observations: list[Observation] = []
    with garbage_collector_off(), running_sites(options.strategies) as (redis, sites):
        for number, case in enumerate(CASES, start=1):
            observations += observe(case, redis, sites, timing, stock=100 * number)
            options.on_progress(1 / len(CASES))
    return sum_up(observations, timing, seed=options.seed)


def sum_up(observations: Sequence[Observation], timing: Timing, *, seed: int) -> ExperimentResult:
    strategies = dict.fromkeys(seen.strategy.name for seen in observations)
    return ExperimentResult(
        experiment="outage",
        parameters={
            "outage_seconds": timing.outage,
            "longest_outage_seconds": timing.longest_outage,
            "recovery_seconds": timing.recovery,
            "workers": 1,
        },
        figures=tuple(figure for seen in observations for figure in _figures(seen, seed)),
        series=tuple(_series(seen) for seen in observations),
        verdicts=tuple(
            _verdict(name, [seen for seen in observations if seen.strategy.name == name])
            for name in strategies
        ),
        warnings=tuple(_warnings(observations, timing)),
    )


def tables(result: ExperimentResult) -> list[Table]:
    if not result.figures:
        return []
    requests = {
        "requests": "requests",
        "ok": "answered",
        "server_errors": "server errors",
        "bypass": "bypass",
        "steady_p50": "p50 before",
        "p50": "p50",
        "max": "max",
    }
    saves = {
        "save": "save",
        "failed_saves": "failed saves",
        "failed_but_written": "but written",
        "recovery": "recovery",
        "stale": "stale answers",
        "last_stale": "last after",
    }
    table = partial(tabulate, figures=result.figures, by_case=True, case_head="Redis", is_bad=_is_bad)
    return [
        table("Requests during an outage of Redis", columns=requests, legend=REQUESTS_LEGEND),
        table("A save during the outage, and the answers after it", columns=saves, legend=SAVES_LEGEND),
    ]


REQUESTS_LEGEND = (
    "refused: Redis is stopped, and comes back with its data. hung: it accepts connections and does not "
    "answer. restarted: it loses its data and closes all connections between two requests. bypass: "
    "answers without the cache."
)
SAVES_LEGEND = (
    "but written: the save raised an error after its row was written. recovery: from the return of Redis "
    "to the first answer from the cache. stale answers: those to requests after the save that do not show "
    "it. last after: from the return of Redis to the last stale answer."
)


def _figures(seen: Observation, seed: int) -> Iterator[Figure]:
    figure = partial(Figure, strategy=seen.strategy.name, case=seen.case)
    count, seconds = partial(figure, unit="count"), partial(figure, unit="s")
    times = [request.seconds for request in seen.during]
    steady = median_interval([request.seconds for request in seen.steady], seed=seed)
    yield count(name="requests", value=len(seen.during), better="neither")
    yield figure(name="ok", value=_share(seen.during, seen.ok), unit="share", better="higher")
    yield count(name="server_errors", value=len(seen.server_errors))
    bypassing = [request for request in seen.ok if not request.is_hit]
    yield figure(name="bypass", value=_share(seen.during, bypassing), unit="share", better="neither")
    yield seconds(name="steady_p50", **vars(steady))
    yield seconds(name="p50", series=TIME, **vars(median_interval(times, seed=seed)))
    yield seconds(name="max", value=max(times), series=TIME)
    yield seconds(name="save", value=seen.save.seconds)
    yield count(name="failed_saves", value=int(bool(seen.save.error)))
    yield count(name="failed_but_written", value=int(seen.is_failed_but_written))
    if seen.strategy.caches:
        yield seconds(name="recovery", value=seen.recovery_seconds)
    yield count(name="stale", value=len(seen.stale))
    yield seconds(name="last_stale", value=seen.last_stale_seconds)


def _share(requests: Sequence[Request], some: Sequence[Request]) -> float:
    return len(some) / len(requests)


def _series(seen: Observation) -> Series:
    values = tuple(request.seconds for request in seen.during)
    return Series(strategy=seen.strategy.name, case=seen.case, name=TIME, unit="s", values=values)


def _is_bad(figure: Figure) -> bool:
    if figure.value is None:
        return figure.name == "recovery"
    if figure.name == "ok":
        return figure.value < 1
    if figure.name in ("p50", "max", "save"):
        return figure.value >= LONG_SECONDS
    faults = ("server_errors", "failed_saves", "failed_but_written", "stale", "last_stale")
    return figure.name in faults and bool(figure.value)


def _verdict(name: str, observations: Sequence[Observation]) -> str:
    parts = [*_request_faults(observations), *_save_faults(observations)]
    if all(len(seen.ok) == len(seen.during) for seen in observations):
        longest = max(request.seconds for seen in observations for request in seen.during)
        parts.insert(0, f"every request was answered, the slowest in {say(longest, 's')}")
    recoveries = [seen.recovery_seconds for seen in observations if seen.recovery_seconds is not None]
    if recoveries:
        parts.append(f"hits again at most {say(max(recoveries), 's')} after Redis was back")
    return f"{name}: {'; '.join(parts)}."


def _request_faults(observations: Sequence[Observation]) -> Iterator[str]:
    failed = [seen for seen in observations if len(seen.ok) < len(seen.during)]
    if failed:
        texts = (f"{seen.case} {len(seen.during) - len(seen.ok)} of {len(seen.during)}" for seen in failed)
        yield f"requests FAILED ({', '.join(texts)})"
    waits = [(request, seen) for seen in observations for request in seen.during]
    longest, seen = max(waits, key=lambda wait: wait[0].seconds)
    if longest.seconds >= LONG_SECONDS:
        until = ", until Redis was back" if longest.answered >= seen.times.returned > seen.times.began else ""
        yield f"a request WAITED for {say(longest.seconds, 's')}{until} ({seen.case})"


def _save_faults(observations: Sequence[Observation]) -> Iterator[str]:
    failed = [seen for seen in observations if seen.save.error]
    if failed:
        written = sum(seen.is_failed_but_written for seen in failed)
        yield f"{len(failed)} of {len(observations)} saves FAILED, {written} after their row was written"
    stale = sum(len(seen.stale) for seen in observations)
    if stale:
        last = max(seen.last_stale_seconds for seen in observations)
        yield f"STALE answers: {stale:,}, the last {say(last, 's')} after Redis was back"


def _warnings(observations: Sequence[Observation], timing: Timing) -> Iterator[str]:
    for seen in observations:
        if seen.strategy.caches and seen.recovery_seconds is None:
            yield (
                f"{seen.strategy.name}: {timing.longest_recovery:g} s after Redis was back "
                f"({seen.case}) no answer came from the cache. Try --thorough, which waits longer."
            )
