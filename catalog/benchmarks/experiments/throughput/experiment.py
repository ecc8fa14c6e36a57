"""How many requests does a real server answer?

Measures: answers over HTTP from gunicorn with one or more synchronous workers. A load generator in
separate processes requests one page, which is cached. There are two kinds of load.

In a closed loop each client sends its next request as soon as the last one is answered. It finds the
highest rate of answers for each number of clients, compared with a bare view that answers the same bytes
from memory (floor) or with one GET from Redis (floor-get).

An open loop at half of that rate finds the latency. Requests are due at a constant rate, whatever the
server does, and the latency of a request counts from the time at which it was due, as in wrk2. So a stall
of the server counts for all requests that were due in the meantime, which avoids coordinated omission (Gil
Tene, How NOT to Measure Latency, 2013). Schroeder, Wierman and Harchol-Balter, Open Versus Closed: A
Cautionary Tale, NSDI 2006, show how much the two loads differ. A timer wakes a client about 0.1 ms late,
which is a part of each latency.

The strategies take turns in rounds of a few tenths of a second, on servers that run at the same time. A
figure is the median of its rounds, except p99, which covers all requests of all rounds. Leaves out:
misses, a network, TLS and a proxy before gunicorn. Clients, workers and Redis share the processor, and a
warning says if the clients take too much of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

from catalog.benchmarks.clients.http import HTTPClient, get_ok
from catalog.benchmarks.clients.in_process import Requester, other_body, with_common_links
from catalog.benchmarks.experiments.throughput.generator import running_load_generator
from catalog.benchmarks.experiments.throughput.rounds import Rounds, Setting
from catalog.benchmarks.experiments.throughput.summary import (
    ARRIVALS,
    ERRORS,
    MEDIAN,
    OF_FLOOR,
    RATE,
    TAIL,
    Turns,
    figures_of,
    series_of,
    verdict,
    warnings,
)
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Table
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.processes.servers import Server, running_servers
from catalog.benchmarks.strategies.registry import FLOOR, FLOORS, UNCACHED, Strategy

QUESTION = "How many requests does a real server answer?"
WRITES = False
SECONDS_PER_STRATEGY = Scale(quick=4.5, normal=36.0, thorough=115.0)

CLIENTS = Scale(quick=(8,), normal=(2, 8, 32), thorough=(1, 2, 8, 32))
CLOSED_ROUNDS = Scale(quick=6, normal=6, thorough=7)
CLOSED_SECONDS = Scale(quick=0.14, normal=0.3, thorough=0.6)
OPEN_ROUNDS = Scale(quick=3, normal=3, thorough=5)
OPEN_SECONDS = Scale(quick=0.2, normal=0.4, thorough=0.8)
# The rate of the open loop, as a share of the highest rate of the closed loop.
OPEN_SHARE = 0.5
# Every run measures this setting, with any effort.
HEADLINE = Setting(workers=2, clients=8)
MAX_WORKERS = 8


def measure(options: Options) -> ExperimentResult:
    strategies = _strategies(options)
    with Requester() as requester:
        requester.check(strategies, options.path)
    with ExitStack() as stack:
        servers = {
            workers: stack.enter_context(running_servers(strategies, workers=workers))
            for workers in _worker_counts(options.effort)
        }
        # The servers and the load generator start at the same time.
        generator = stack.enter_context(running_load_generator())
        for of_workers in servers.values():
            require_equal_answers(of_workers, strategies, options.path)
        rounds = Rounds(
            generator=generator,
            servers=servers,
            strategies=strategies,
            settings=_settings(options.effort),
            path=options.path,
            seed=options.seed,
            on_turn=lambda: options.on_progress(1 / _turns(options)),
        )
        rounds.warm_up()
        all_turns = _load(rounds, options)
    return _result(options, all_turns, generators=generator.processes)


def tables(result: ExperimentResult) -> list[Table]:
    columns = {
        RATE: "answers",
        OF_FLOOR: "of floor",
        ERRORS: "errors",
        ARRIVALS: "arrivals",
        MEDIAN: "p50",
        TAIL: "p99",
    }
    counts = sorted({figure.case.partition("c")[0] for figure in result.figures}, key=lambda w: int(w[1:]))
    path = result.parameters["path"]
    return [
        tabulate(
            f"Answers of {path} from {workers[1:]} {'worker' if workers == 'w1' else 'workers'}",
            [figure for figure in result.figures if figure.case.startswith(f"{workers}c")],
            columns=columns,
            by_case=True,
            unrated=names.FLOORS,
            is_bad=lambda figure: figure.name == ERRORS and bool(figure.value),
            legend=LEGEND if workers == counts[-1] else "",
        )
        for workers in counts
    ]


LEGEND = (
    "w2c8: 2 workers, 8 clients. answers: the highest rate, with clients that send without a pause. of "
    "floor: that rate as a share of the floor's rate in the same round. p50, p99: latency from the time at "
    "which a request was due, with arrivals at half of the highest rate. n/a: fewer than 100 requests."
)


def _worker_counts(effort: Effort) -> list[int]:
    """Powers of two: 2 alone, 1 and 2, or 1, 2, 4 and so on up to the number of cores."""
    if effort is not Effort.THOROUGH:
        return [2] if effort is Effort.QUICK else [1, 2]
    most = min(max(os.cpu_count() or 1, 2), MAX_WORKERS)
    return [1 << power for power in range(most.bit_length())]


def _settings(effort: Effort) -> list[Setting]:
    return [
        Setting(workers=workers, clients=clients)
        for workers in _worker_counts(effort)
        for clients in CLIENTS.at(effort)
    ]


def _turns(options: Options) -> int:
    """The number of turns of load, including the turns that warm the servers up."""
    effort = options.effort
    rounds = CLOSED_ROUNDS.at(effort) + OPEN_ROUNDS.at(effort)
    turns = len(_worker_counts(effort)) + len(_settings(effort)) * rounds
    return turns * len(_strategies(options))


def _strategies(options: Options) -> tuple[Strategy, ...]:
    return (*options.strategies, *FLOORS)


def require_equal_answers(servers: Mapping[str, Server], strategies: Sequence[Strategy], path: str) -> None:
    """Raises ``BenchmarkError`` for a server whose answer differs from that of ``UNCACHED``.

    ``servers`` maps the name of each strategy to its server.
    """
    expected = _content(servers[UNCACHED.name], UNCACHED, path)
    for strategy in strategies:
        server = servers[strategy.name]
        if _content(server, strategy, path) != expected:
            has_changed = _content(servers[UNCACHED.name], UNCACHED, path) != expected
            raise other_body(strategy, path, has_changed=has_changed)


def _content(server: Server, strategy: Strategy, path: str) -> Any:
    """The JSON of a request like those of the load generator."""
    response = get_ok(server, HTTPClient(server.port, accept_encoding="gzip"), strategy.url(path))
    origin = f"127.0.0.1:{server.port}{strategy.url_prefix}"
    return json.loads(with_common_links(response.content, origin))


def _load(rounds: Rounds, options: Options) -> list[Turns]:
    effort = options.effort
    closed = rounds.take_turns(rounds=CLOSED_ROUNDS.at(effort), seconds=CLOSED_SECONDS.at(effort))

    def rate_of(strategy: Strategy, setting: Setting) -> float:
        outcomes = closed[strategy.name, setting.case]
        return OPEN_SHARE * median(outcome.requests_per_second for outcome in outcomes)

    opened = rounds.take_turns(
        rounds=OPEN_ROUNDS.at(effort), seconds=OPEN_SECONDS.at(effort), rate_of=rate_of
    )
    return [
        Turns(
            strategy=strategy.name,
            case=setting.case,
            closed=closed[strategy.name, setting.case],
            opened=opened.get((strategy.name, setting.case), ()),
            floor=closed[FLOOR.name, setting.case],
            arrivals_per_second=rate_of(strategy, setting),
            seed=options.seed,
        )
        for setting in rounds.settings
        for strategy in rounds.strategies
    ]


def _result(options: Options, all_turns: Sequence[Turns], *, generators: int) -> ExperimentResult:
    effort, headline = options.effort, HEADLINE
    return ExperimentResult(
        experiment="throughput",
        parameters={
            "path": options.path,
            "workers": _worker_counts(effort),
            "clients": list(CLIENTS.at(effort)),
            "generator_processes": generators,
            "closed_rounds": CLOSED_ROUNDS.at(effort),
            "closed_seconds": CLOSED_SECONDS.at(effort),
            "open_rounds": OPEN_ROUNDS.at(effort),
            "open_seconds": OPEN_SECONDS.at(effort),
            "open_share": OPEN_SHARE,
        },
        figures=tuple(figure for turns in all_turns for figure in figures_of(turns)),
        series=tuple(series for turns in all_turns for series in series_of(turns)),
        verdicts=tuple(
            verdict(turns, workers=headline.workers, clients=headline.clients)
            for turns in all_turns
            if turns.case == headline.case and turns.strategy not in names.FLOORS
        ),
        warnings=tuple(warnings(all_turns, workers=max(_worker_counts(effort)), generators=generators)),
    )
