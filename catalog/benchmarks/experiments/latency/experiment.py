"""How fast are repeat requests?

Measures the time of a GET with Django's test client: URL resolving, middleware, view, database and
cache. There are three cases for each strategy: requests for one page while nothing is cached (cold),
repeat requests for that page (hit), and requests for a mix of list pages, filters, searches and
products that starts with nothing cached and so contains misses (mix). The popularity of the pages of
the mix follows Zipf's law, like the popularity of real web pages (Breslau, Cao, Fan, Phillips and Shenker,
Web caching and Zipf-like distributions, INFOCOM 1999).

Leaves out sockets, HTTP parsing and waiting for a worker, which cost all strategies the same;
``throughput`` includes them. The strategies take turns, in an order that is shuffled in each round, so
that a busy moment of the machine affects all of them alike. Warm-up, interleaving and the choice of
figures follow pyperf and hyperfine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.experiments.latency.mix import ZIPF_EXPONENT, draw_mix
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Series, Table
from catalog.benchmarks.figures.statistics import NANOSECONDS, median_interval, median_ratio, summarise
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.sandbox.isolation import empty_cache, garbage_collector_off
from catalog.benchmarks.strategies.registry import FLOORS, Strategy
from readcache.wording import counted

QUESTION = "How fast are repeat requests?"
WRITES = False
SECONDS_PER_STRATEGY = Scale(quick=1.1, normal=2.5, thorough=12.0)

REQUESTS = Scale(quick=100, normal=200, thorough=1000)
MIX_REQUESTS = Scale(quick=150, normal=400, thorough=2000)
WARMUP = 20
COLD_ROUNDS = Scale(quick=6, normal=10, thorough=30)

UNSTABLE_STDEV_SHARE = 0.1
OUTLIER_TIMES_MEDIAN = 10
COLD, HIT, MIX = "cold", "hit", "mix"
TIME = "time"

Times = dict[str, list[float]]  # seconds by strategy


def measure(options: Options) -> ExperimentResult:
    strategies = (*options.strategies, *FLOORS)
    mix = draw_mix(options.seed, MIX_REQUESTS.at(options.effort))
    with Requester() as requester:
        empty_cache()
        checked = requester.check(strategies, options.path)
        for page in set(mix) - {options.path}:
            # A strategy need not cache every page of the mix.
            requester.check(strategies, page, must_hit=False)
        with garbage_collector_off():
            times = _time_cases(requester, strategies, mix, options)
    queries = {
        case: {name: pages[place].queries for name, pages in checked.items()}
        for place, case in enumerate((COLD, HIT))
    }
    figures = [figure for case in times for figure in _figures(case, times[case], queries, options.seed)]
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
        **{name: name for name in ("min", "p50", "p95", "p99", "max")},
        "stdev": "σ",
        "requests_per_second": "requests",
        "queries": "queries",
        "times_faster": "times faster",
        "floors": "floors",
    }
    path, pages = result.parameters["path"], counted(result.parameters["mix_pages"], "page")
    titles = {
        COLD: f"First request for {path}, nothing cached",
        HIT: f"Repeat requests for {path}",
        MIX: f"{counted(result.parameters['mix_requests'], 'request')} for a mix of {pages}",
    }
    return [
        tabulate(
            title,
            [figure for figure in result.figures if figure.case == case],
            columns=columns,
            unrated=names.FLOORS,
            legend=LEGEND if case == MIX else "",
        )
        for case, title in titles.items()
    ]


LEGEND = (
    "times faster: the median of uncached divided by this median. floors: this median divided by the median "
    "of floor-get."
)


def _time_cases(
    requester: Requester, strategies: Sequence[Strategy], mix: Sequence[str], options: Options
) -> dict[str, Times]:
    run = partial(_time, requester, strategies, options=options)
    cold = run([options.path] * COLD_ROUNDS.at(options.effort), is_cold=True)
    warmup = _warmup(options)
    repeats = run([options.path] * (warmup + _requests(options)))
    empty_cache()
    for path in set(mix):
        requester.prepare_floor(path)
    return {COLD: cold, HIT: {name: values[warmup:] for name, values in repeats.items()}, MIX: run(mix)}


def _time(
    requester: Requester,
    strategies: Sequence[Strategy],
    paths: Sequence[str],
    *,
    options: Options,
    is_cold: bool = False,
) -> Times:
    times: Times = {strategy.name: [] for strategy in strategies}
    for path, order in zip(paths, options.shuffled(strategies, rounds=len(paths)), strict=True):
        if is_cold:
            empty_cache()
            requester.prepare_floor(path)
        for strategy in order:
            times[strategy.name].append(requester.time(strategy, path) / NANOSECONDS)
        options.on_progress(1 / _rounds(options))
    return times


def _figures(case: str, times: Times, queries: dict[str, dict[str, int]], seed: int) -> Iterator[Figure]:
    for name, values in times.items():
        figure = partial(Figure, strategy=name, case=case)
        seconds, ratio = partial(figure, unit="s", series=TIME), partial(figure, unit="ratio")
        summary = summarise(values)
        yield seconds(name="p50", **vars(median_interval(values, seed=seed)))
        for statistic in ("min", "p95", "p99", "max", "stdev"):
            yield seconds(name=statistic, value=getattr(summary, statistic))
        rate = summary.requests_per_second
        yield figure(name="requests_per_second", value=rate, unit="1/s", better="higher", series=TIME)
        yield ratio(name="floors", **vars(median_ratio(values, times[names.FLOOR_WITH_GET], seed=seed)))
        if name in names.FLOORS:
            continue
        faster = median_ratio(times[names.UNCACHED], values, seed=seed)
        yield ratio(name="times_faster", better="higher", **vars(faster))
        if case in queries:
            yield figure(name="queries", value=queries[case][name], unit="count")


def _verdicts(figures: Sequence[Figure]) -> Iterator[str]:
    for figure in figures:
        if figure.name == "times_faster" and figure.case != COLD and figure.strategy != names.UNCACHED:
            what = "a repeat request" if figure.case == HIT else "a request of the mix"
            yield f"{figure.strategy}: {what} {_difference(figure)}."


def _difference(faster: Figure) -> str:
    ratio, low, high = faster.value, faster.low, faster.high
    if low is not None and high is not None and low <= 1 <= high:
        return "shows no significant difference from uncached"
    words = "is {:.1f} times faster than uncached"
    if ratio and ratio < 1:
        words, ratio = "takes {:.1f} times as long as uncached", 1 / ratio
        low, high = (1 / limit if limit else None for limit in (high, low))
    if low is None or high is None:
        return f"{words.format(ratio)}, or this is chance: there were too few requests to tell"
    return f"{words.format(ratio)} (95% interval {low:.1f} to {high:.1f})"


def _warnings(times: Times) -> Iterator[str]:
    """Reasons to doubt the figures, each with advice."""
    for name, values in times.items():
        summary = summarise(values)
        share = summary.stdev / summary.mean
        if share > UNSTABLE_STDEV_SHARE:
            yield (
                f"{name}: the standard deviation is {share:.0%} of the mean. "
                "Close other programs or raise --requests."
            )
        limit = OUTLIER_TIMES_MEDIAN * summary.p50
        outliers = sum(value > limit for value in values)
        if outliers:
            yield f"{name}: {outliers} of {len(values)} requests took more than {say(limit, 's')}."
        if summary.p99 is None:
            yield f"{name}: no p99 from {counted(len(values), 'sample')}. Raise --requests to 100."


def _requests(options: Options) -> int:
    return REQUESTS.at(options.effort) if options.requests is None else options.requests


def _warmup(options: Options) -> int:
    return WARMUP if options.warmup is None else options.warmup


def _rounds(options: Options) -> int:
    """The number of rounds in all cases. In each round, every strategy has a turn."""
    effort = options.effort
    return COLD_ROUNDS.at(effort) + _warmup(options) + _requests(options) + MIX_REQUESTS.at(effort)
