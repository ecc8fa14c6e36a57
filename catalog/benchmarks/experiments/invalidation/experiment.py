"""Which writes does a cache notice, and at what price?

Measures, for every kind of write in ``writes`` and every strategy, with only that strategy's
invalidation connected:

- whether the next answer shows the write, of each page that the write changes and that was warm;
- the same under two races, which are made to happen and not waited for. One reader asks for the
  pages after the write and before its COMMIT. The other sends its queries before the write and
  stores what it made of them after the write was acknowledged;
- how long the write takes, on warm pages.

An answer is stale if the uncached view answers something else. The races are the anomalies of a
cache that is not written in the database's transaction: Kleppmann, Designing Data-Intensive
Applications (2017), chapter 11, "Keeping Systems in Sync", and the "stale sets" against which
Nishtala et al., Scaling Memcache at Facebook, NSDI 2013, section 3.2.1, give out leases. Bailis et
al., Probabilistically Bounded Staleness for Practical Partial Quorums, VLDB 2012, ask how often
such things happen by chance: the experiment ``freshness`` does.

Leaves out: the page of statistics, which adds up the whole catalogue each time; a strategy in a
process of its own; that a cache's work leaves the processor's caches cold for what comes after it,
since each write that is timed comes after an uncached page; how the time of an invalidation grows
with the number of keys in Redis.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from catalog.benchmarks.experiments.invalidation import trials
from catalog.benchmarks.experiments.invalidation.trials import RACES, Bench, opened_bench
from catalog.benchmarks.experiments.invalidation.write_tables import notice_table, price_table
from catalog.benchmarks.experiments.invalidation.writes import KINDS, Kind, Page
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Series, Table
from catalog.benchmarks.figures.statistics import Interval, median_interval, summarise
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.strategies import plug_ins
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy

QUESTION = "Which writes does a cache notice, and at what price?"
WRITES = True

# How often each write is timed. The races end in the same way each time.
ROUNDS = Scale(quick=5, normal=8, thorough=30)
STARTING_SECONDS = 2.0
# For one kind and strategy. To walk a Redis of a million keys takes seconds, each time.
MOST_SECONDS = 1.0
SECONDS_PER_ROUND = 0.015
SECONDS_PER_CHECK = 0.1
# The case of the totals.
CASE = "invalidation"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one strategy makes of one kind of write.

    ``pages`` maps each page that the write changes to whether its next answer is stale.
    ``stale_races`` is how many of the two races ended with a stale page, ``None`` where there was
    none; ``seconds`` is what the write took, each time.
    """

    strategy: str
    kind: str
    pages: Mapping[Page, bool]
    stale_races: int | None
    seconds: tuple[float, ...]

    @property
    def stale(self) -> bool:
        return any(self.pages.values())


def estimate_seconds(options: Options) -> float:
    strategies = _measurable(options)
    caches = sum(strategy.caches for strategy in strategies)
    timing = len(strategies) * ROUNDS.at(options.effort) * SECONDS_PER_ROUND
    return STARTING_SECONDS + len(KINDS) * (timing + caches * SECONDS_PER_CHECK)


def measure(options: Options) -> ExperimentResult:
    strategies = _measurable(options)
    left_out = [each.name for each in options.strategies if each not in strategies]
    with opened_bench(needs_process=any(kind.is_elsewhere for kind in KINDS)) as bench:
        options.on_progress(STARTING_SECONDS)
        kinds = [kind for kind in KINDS if bench.process or not kind.is_elsewhere]
        findings = [finding for kind in kinds for finding in _examine(bench, kind, strategies, options)]
        warnings = _warnings(bench, left_out)
    return ExperimentResult(
        experiment="invalidation",
        parameters={"kinds": len(kinds), "rounds": ROUNDS.at(options.effort), "races": len(RACES)},
        figures=tuple(_figures(findings)),
        series=tuple(
            Series(strategy=each.strategy, case=each.kind, name="write", unit="s", values=each.seconds)
            for each in findings
        ),
        verdicts=tuple(_verdicts(findings)),
        warnings=tuple(warnings),
    )


def _measurable(options: Options) -> list[Strategy]:
    """Those whose invalidation can be connected in this process, where the writes are."""
    return [strategy for strategy in options.strategies if not plug_ins.is_elsewhere(strategy)]


def _examine(bench: Bench, kind: Kind, strategies: Sequence[Strategy], options: Options) -> list[Finding]:
    """The checks come first: what a first write imports is no cache's cost."""
    rounds, chance = ROUNDS.at(options.effort), random.Random(options.seed)
    checked = {strategy.name: _check(bench, strategy, kind, options) for strategy in strategies}
    targets = iter(bench.make_targets(rounds * len(strategies)))
    seconds: dict[str, list[float]] = {strategy.name: [] for strategy in strategies}
    for _ in range(rounds):
        for strategy in chance.sample(strategies, len(strategies)):
            own = seconds[strategy.name]
            if sum(own) < MOST_SECONDS:
                with bench.only_invalidation_of(strategy):
                    own.append(trials.time_write(bench, strategy, kind, next(targets)))
            options.on_progress(SECONDS_PER_ROUND)
    return [
        Finding(strategy=name, kind=kind.name, pages=pages, stale_races=races, seconds=tuple(seconds[name]))
        for name, (pages, races) in checked.items()
    ]


def _check(
    bench: Bench, strategy: Strategy, kind: Kind, options: Options
) -> tuple[dict[Page, bool], int | None]:
    """The pages after the write alone, and the number of races that end with a stale one."""
    if not strategy.caches:
        # It is what the others are compared with.
        return {}, 0
    alone, *overlapped = bench.make_targets(1 + len(RACES))
    with bench.only_invalidation_of(strategy):
        pages = trials.find_stale_pages(bench, strategy, kind, alone)
        races = zip(RACES, overlapped, strict=True) if bench.readers else ()
        lost = [race(bench, strategy, kind, target) for race, target in races]
    options.on_progress(SECONDS_PER_CHECK)
    return pages, sum(lost) if bench.readers else None


def _figures(findings: Sequence[Finding]) -> Iterator[Figure]:
    for each in findings:
        figure = partial(Figure, strategy=each.strategy, case=each.kind)
        yield figure(name="stale", value=int(each.stale), unit="count")
        for page, is_stale in each.pages.items():
            yield figure(name=f"stale_{page}", value=int(is_stale), unit="count")
        yield figure(name="stale_race", value=each.stale_races, unit="count")
        yield figure(name="write", value=summarise(each.seconds).p50, unit="s", series="write")
    for strategy, own in _by_strategy(findings).items():
        total = partial(Figure, strategy=strategy, case=CASE)
        yield total(name="kinds", value=len(own), unit="count", better="neither")
        yield total(name="stale", value=sum(each.stale for each in own), unit="count")
        yield total(name="stale_race", value=_count_stale_under_race(own), unit="count")
        if strategy != UNCACHED.name:
            cost = _write_cost(own, findings)
            yield total(name="write_cost", value=cost.value, low=cost.low, high=cost.high, unit="ratio")
            yield total(name="write_extra", value=_write_extra(own, findings), unit="s")


def _by_strategy(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for each in findings:
        found.setdefault(each.strategy, []).append(each)
    return found


def _count_stale_under_race(findings: Sequence[Finding]) -> int | None:
    """The kinds that at least one race missed; ``None`` without races."""
    races = [each.stale_races for each in findings if each.stale_races is not None]
    return sum(bool(number) for number in races) if races else None


def _write_cost(own: Sequence[Finding], findings: Sequence[Finding]) -> Interval:
    """The median over the kinds of the ratio to the median without any invalidation."""
    return median_interval([taken / plain for taken, plain in _medians(own, findings)])


def _write_extra(own: Sequence[Finding], findings: Sequence[Finding]) -> float:
    """The same of the difference in seconds."""
    return median(taken - plain for taken, plain in _medians(own, findings))


def _medians(own: Sequence[Finding], findings: Sequence[Finding]) -> list[tuple[float, float]]:
    """For each kind, the seconds with the strategy's invalidation and without any."""
    plain = {each.kind: median(each.seconds) for each in findings if each.strategy == UNCACHED.name}
    return [(median(each.seconds), plain[each.kind]) for each in own]


def _warnings(bench: Bench, left_out: Sequence[str]) -> Iterator[str]:
    if bench.readers is None:
        yield (
            "The races and the second process were left out: nobody else can read a database in memory "
            "while it is written. Set DATABASE_URL to a file or to PostgreSQL."
        )
    for name in left_out:
        yield f"{name}: its invalidation was not measured, because it serves from a process of its own."


def _verdicts(findings: Sequence[Finding]) -> Iterator[str]:
    for strategy, own in _by_strategy(findings).items():
        if strategy == UNCACHED.name:
            continue
        stale, under_race = sum(each.stale for each in own), _count_stale_under_race(own)
        price = _price(own, findings)
        if stale or under_race:
            race = "" if under_race is None else f", {under_race} under race"
            yield f"{strategy}: {stale} of {len(own)} kinds of write leave a page STALE{race}; {price}."
        else:
            race = "" if under_race is None else ", under race too"
            yield f"{strategy}: every one of {len(own)} kinds of write is seen at once{race}; {price}."


def _price(own: Sequence[Finding], findings: Sequence[Finding]) -> str:
    cost, extra = _write_cost(own, findings), _write_extra(own, findings)
    if cost.has(1):
        return "what a write takes shows no significant difference"
    more = f", {say(extra, 's')} more" if extra > 0 else ""
    return f"a write takes {cost.value:.2f} times as long ({cost}{more})"


def tables(result: ExperimentResult) -> list[Table]:
    strategies = list(dict.fromkeys(figure.strategy for figure in result.figures))
    kinds = [case for case in dict.fromkeys(figure.case for figure in result.figures) if case != CASE]
    return [notice_table(result, strategies, kinds), price_table(result, strategies, kinds)]
