"""How fast are repeat requests?

Measures: the time of a GET through Django's test client, that is URL resolving, middleware, view,
database and cache, in every strategy: for one page when nothing is cached (cold), for its repeats
(hit), and for a mix of list pages, filters, searches and details that starts with nothing cached,
so that misses are a part of it (mix). Which page of the mix is asked for follows Zipf's law, as
requests to web caches do (Breslau, Cao, Fan, Phillips and Shenker, Web caching and Zipf-like
distributions, INFOCOM 1999). Leaves out: sockets, HTTP parsing and waiting for a worker, which are
the same for all; ``throughput`` has them. The strategies take turns, in an order shuffled each
round, so that a busy moment of the machine hits all alike; warm-up, interleaving and the choice of
figures follow pyperf and hyperfine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial

from catalog.benchmarks.clients.in_process import Requester, other_body
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.latency.mix import ZIPF_EXPONENT, draw_mix
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Series, Table
from catalog.benchmarks.figures.statistics import NANOSECONDS, median_interval, median_ratio, summarise
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.sandbox.isolation import empty_cache, garbage_collector_off
from catalog.benchmarks.strategies.registry import FLOOR_WITH_GET, FLOORS, UNCACHED, Strategy

QUESTION = "How fast are repeat requests?"
WRITES = False

REQUESTS = Scale(quick=100, normal=200, thorough=1000)
MIX_REQUESTS = Scale(quick=150, normal=400, thorough=2000)
WARMUP = 20
COLD_ROUNDS = Scale(quick=6, normal=10, thorough=30)
# What a request takes on an ordinary machine, over all strategies and floors.
SECONDS_PER_ROUND = 0.015

UNSTABLE_STDEV_SHARE = 0.1
OUTLIER_TIMES_MEDIAN = 10
COLD, HIT, MIX = "cold", "hit", "mix"
TIME = "time"

Times = dict[str, list[float]]


def estimate_seconds(options: Options) -> float:
    rounds = _requests(options) + MIX_REQUESTS.at(options.effort) + 5 * COLD_ROUNDS.at(options.effort)
    return rounds * SECONDS_PER_ROUND


def measure(options: Options) -> ExperimentResult:
    strategies = (*options.strategies, *FLOORS)
    mix = draw_mix(options.seed, MIX_REQUESTS.at(options.effort))
    with Requester() as requester:
        empty_cache()
        queries = _check(requester, strategies, options.path)
        for page in set(mix) - {options.path}:
            # A strategy may leave some of these uncached.
            _check(requester, strategies, page, must_hit=False)
        with garbage_collector_off():
            times = {
                COLD: _time_cold(requester, strategies, options),
                HIT: _time_repeats(requester, strategies, options),
                MIX: _time_mix(requester, strategies, mix, options),
            }
    figures = [
        figure
        for case, of_case in times.items()
        for figure in (*_figures(case, of_case, options.seed), *_query_figures(case, queries))
    ]
    return ExperimentResult(
        experiment="latency",
        parameters={
            "path": options.path,
            "requests": _requests(options),
            "warmup": _warmup(options),
            "mix_requests": len(mix),
            "mix_pages": len(set(mix)),
            "zipf_exponent": ZIPF_EXPONENT,
        },
        figures=tuple(figures),
        series=tuple(
            Series(strategy=name, case=case, name=TIME, unit="s", values=tuple(values))
            for case, of_case in times.items()
            for name, values in of_case.items()
        ),
        verdicts=tuple(_verdicts(figures)),
        warnings=tuple(_warnings(times[HIT])),
    )


def tables(result: ExperimentResult) -> list[Table]:
    columns = {
        "min": "min",
        "p50": "p50",
        "p95": "p95",
        "p99": "p99",
        "max": "max",
        "stdev": "σ",
        "requests_per_second": "requests",
        "queries": "queries",
        "times_faster": "times faster",
        "floors": "floors",
    }
    titles = {
        COLD: f"First request of {result.parameters['path']}, nothing cached",
        HIT: f"Repeat requests of {result.parameters['path']}",
        MIX: f"{result.parameters['mix_requests']:,} requests of {result.parameters['mix_pages']} pages",
    }
    return [
        tabulate(
            titles[case],
            [figure for figure in result.figures if figure.case == case],
            columns=columns,
            unrated=names.FLOORS,
            legend=LEGEND if case == MIX else "",
        )
        for case in titles
    ]


LEGEND = (
    "times faster: the median against uncached's. floors: the median against that of floor-get, a bare "
    "view that fetches the same bytes with one GET; floor answers them from memory."
)


def _check(
    requester: Requester, strategies: Sequence[Strategy], path: str, *, must_hit: bool = True
) -> dict[str, dict[str, int]]:
    """The number of queries of a cold request and of a repeat, after comparing every body."""
    expected = requester.ask(UNCACHED, path).body
    requester.prepare_floor(path)
    queries: dict[str, dict[str, int]] = {COLD: {}, HIT: {}}
    for strategy in strategies:
        cold, repeat = requester.ask(strategy, path), requester.ask(strategy, path)
        if not cold.body == repeat.body == expected:
            raise other_body(strategy, path, has_changed=requester.ask(UNCACHED, path).body != expected)
        if must_hit and strategy.caches and repeat.queries:
            raise BenchmarkError(
                f"{strategy.name} ran {repeat.queries} queries to repeat {path}; a hit runs none."
            )
        queries[COLD][strategy.name] = cold.queries
        queries[HIT][strategy.name] = repeat.queries
    return queries


def _time_cold(requester: Requester, strategies: Sequence[Strategy], options: Options) -> Times:
    chance = random.Random(options.seed)
    times: Times = {strategy.name: [] for strategy in strategies}
    for _ in range(COLD_ROUNDS.at(options.effort)):
        # So that the first read is a true miss.
        empty_cache()
        requester.prepare_floor(options.path)
        for strategy in chance.sample(strategies, len(strategies)):
            times[strategy.name].append(requester.time(strategy, options.path) / NANOSECONDS)
        options.on_progress(5 * SECONDS_PER_ROUND)
    return times


def _time_repeats(requester: Requester, strategies: Sequence[Strategy], options: Options) -> Times:
    chance = random.Random(options.seed)
    times: Times = {strategy.name: [] for strategy in strategies}
    for number in range(_warmup(options) + _requests(options)):
        for strategy in chance.sample(strategies, len(strategies)):
            nanoseconds = requester.time(strategy, options.path)
            if number >= _warmup(options):
                times[strategy.name].append(nanoseconds / NANOSECONDS)
        options.on_progress(SECONDS_PER_ROUND if number >= _warmup(options) else 0)
    return times


def _time_mix(
    requester: Requester, strategies: Sequence[Strategy], mix: Sequence[str], options: Options
) -> Times:
    chance = random.Random(options.seed)
    times: Times = {strategy.name: [] for strategy in strategies}
    empty_cache()
    for path in set(mix):
        requester.prepare_floor(path)
    for path in mix:
        for strategy in chance.sample(strategies, len(strategies)):
            times[strategy.name].append(requester.time(strategy, path) / NANOSECONDS)
        options.on_progress(SECONDS_PER_ROUND)
    return times


def _figures(case: str, times: Times, seed: int) -> list[Figure]:
    figures = []
    for name, values in times.items():
        figure = partial(Figure, strategy=name, case=case, series=TIME)
        summary, median = summarise(values), median_interval(values, seed=seed)
        figures += [
            figure(name="p50", value=median.value, low=median.low, high=median.high, unit="s"),
            *(
                figure(name=statistic, value=getattr(summary, statistic), unit="s")
                for statistic in ("min", "p95", "p99", "max", "stdev")
            ),
            figure(
                name="requests_per_second", value=summary.requests_per_second, unit="1/s", better="higher"
            ),
            *_ratio_figures(case, name, times, seed),
        ]
    return figures


def _ratio_figures(case: str, name: str, times: Times, seed: int) -> Iterator[Figure]:
    ratio = partial(Figure, strategy=name, case=case, unit="ratio")
    to_floor = median_ratio(times[name], times[FLOOR_WITH_GET.name], seed=seed)
    yield ratio(name="floors", value=to_floor.value, low=to_floor.low, high=to_floor.high)
    if name not in names.FLOORS:
        faster = median_ratio(times[UNCACHED.name], times[name], seed=seed)
        yield ratio(
            name="times_faster", value=faster.value, low=faster.low, high=faster.high, better="higher"
        )


def _query_figures(case: str, queries: dict[str, dict[str, int]]) -> list[Figure]:
    return [
        Figure(strategy=name, case=case, name="queries", value=number, unit="count")
        for name, number in queries.get(case, {}).items()
        if name not in names.FLOORS
    ]


def _verdicts(figures: Sequence[Figure]) -> list[str]:
    lines = []
    for figure in figures:
        if figure.name != "times_faster" or figure.case == COLD or figure.strategy == UNCACHED.name:
            continue
        what = "a repeat request" if figure.case == HIT else "a request of the mix"
        lines.append(f"{figure.strategy}: {what} {_difference(figure)}.")
    return lines


def _difference(faster: Figure) -> str:
    ratio, low, high = faster.value, faster.low, faster.high
    if low is not None and high is not None and low <= 1 <= high:
        return "shows no significant difference from uncached"
    words = "is {:.1f} times faster than uncached"
    if ratio and ratio < 1:
        words, ratio = "takes {:.1f} times as long as uncached", 1 / ratio
        low, high = (1 / limit if limit else None for limit in (high, low))
    if low is None or high is None:
        return f"{words.format(ratio)}, or that is chance: the requests are too few to tell"
    return f"{words.format(ratio)} (95% interval {low:.1f} to {high:.1f})"


def _warnings(times: Times) -> list[str]:
    """What makes the figures doubtful, with what to do about it."""
    found = []
    for name, values in times.items():
        summary = summarise(values)
        share = summary.stdev / summary.mean
        if share > UNSTABLE_STDEV_SHARE:
            found.append(
                f"{name}: the standard deviation is {share:.0%} of the mean. "
                "Close other programs or raise --requests."
            )
        outliers = sum(value > OUTLIER_TIMES_MEDIAN * summary.p50 for value in values)
        if outliers:
            limit = say(OUTLIER_TIMES_MEDIAN * summary.p50, "s")
            found.append(f"{name}: {outliers} of {len(values)} requests took more than {limit}.")
        if summary.p99 is None:
            found.append(f"{name}: no p99 from {summary.count} samples. Raise --requests to 100.")
    return found


def _requests(options: Options) -> int:
    return REQUESTS.at(options.effort) if options.requests is None else options.requests


def _warmup(options: Options) -> int:
    return WARMUP if options.warmup is None else options.warmup
