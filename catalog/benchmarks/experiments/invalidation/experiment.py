"""Which writes does a cache notice, and at what price?

Measures, for every kind of write in ``writes`` and every strategy, with only that strategy's
invalidation connected:

- whether the next answer shows the write, for each page that was warm and that the write changes;
- the same in two races, which the experiment forces and does not wait for. In one, a reader requests the
  pages after the write and before its COMMIT. In the other, readers send their queries before the write
  and store their pages after the write was acknowledged;
- how long the write takes while pages are warm.

An answer is stale if the uncached view answers something else. The races are anomalies of caches that are
not part of the database's transaction. They are described by Kleppmann, Designing Data-Intensive
Applications (2017), chapter 11, "Keeping Systems in Sync", and as the "stale sets" that leases prevent by
Nishtala et al., Scaling Memcache at Facebook, NSDI 2013, section 3.2.1. How often such races happen by
chance is a question of Bailis et al., Probabilistically Bounded Staleness for Practical Partial Quorums,
VLDB 2012, and of the experiment ``freshness``.

Leaves out the statistics page, which adds up the whole catalogue each time; strategies with a separate
process; the effect of a cache's work on the processor's caches, since each timed write follows an
uncached page; and how the time of an invalidation grows with the number of keys in Redis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from catalog.benchmarks.experiments.invalidation import trials
from catalog.benchmarks.experiments.invalidation.trials import RACES, Bench, opened_bench
from catalog.benchmarks.experiments.invalidation.write_tables import notice_table, price_table
from catalog.benchmarks.experiments.invalidation.writes import KINDS, Kind, Page
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Series, Table
from catalog.benchmarks.figures.statistics import Interval, median_interval, summarise
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.strategies import plug_ins
from catalog.benchmarks.strategies.registry import Strategy
from readcache.wording import counted

QUESTION = "Which writes does a cache notice, and at what price?"
WRITES = True
SECONDS_PER_STRATEGY = Scale(quick=6.0, normal=8.0, thorough=20.0)

# How often each write is timed. The races end the same way each time.
ROUNDS = Scale(quick=5, normal=8, thorough=30)
# For one kind and one strategy. With a million keys in Redis, each write of the textbook takes seconds.
MOST_SECONDS = 1.0
# The case of the totals.
CASE = "invalidation"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How one strategy deals with one kind of write.

    ``pages`` maps each page that the write changes to whether the next answer is stale. ``stale_races``
    counts the races that end with a stale page. ``seconds`` are the times of the write.
    """

    strategy: str
    kind: str
    pages: Mapping[Page, bool]
    stale_races: int
    seconds: tuple[float, ...]

    @property
    def is_stale(self) -> bool:
        return any(self.pages.values())

    @property
    def is_stale_under_race(self) -> bool:
        return self.stale_races > 0


def measure(options: Options) -> ExperimentResult:
    strategies = _measurable(options)
    left_out = [each for each in options.strategies if each not in strategies]
    with opened_bench() as bench:
        findings = []
        for kind in KINDS:
            findings += _examine(bench, kind, strategies, options)
            options.on_progress(1 / len(KINDS))
    return ExperimentResult(
        experiment="invalidation",
        parameters={"kinds": len(KINDS), "rounds": ROUNDS.at(options.effort), "races": len(RACES)},
        figures=tuple(_figures(findings)),
        series=tuple(
            Series(strategy=each.strategy, case=each.kind, name="write", unit="s", values=each.seconds)
            for each in findings
        ),
        verdicts=tuple(_verdicts(findings)),
        warnings=tuple(
            f"{each.name}: its invalidation was not measured, because it needs a separate process."
            for each in left_out
        ),
    )


def tables(result: ExperimentResult) -> list[Table]:
    kinds = [case for case in result.cases if case != CASE]
    return [notice_table(result, kinds), price_table(result, kinds)]


def _measurable(options: Options) -> list[Strategy]:
    """The strategies whose invalidation can be connected in this process, which does the writes."""
    return [strategy for strategy in options.strategies if not plug_ins.is_elsewhere(strategy)]


def _examine(bench: Bench, kind: Kind, strategies: Sequence[Strategy], options: Options) -> list[Finding]:
    # The checks come first, so that no timed write includes the imports of a first write.
    checked = {strategy.name: _check(bench, strategy, kind) for strategy in strategies}
    rounds = ROUNDS.at(options.effort)
    targets = iter(bench.make_targets(rounds * len(strategies)))
    seconds: dict[str, list[float]] = {strategy.name: [] for strategy in strategies}
    for order in options.shuffled(strategies, rounds=rounds):
        for strategy in order:
            times = seconds[strategy.name]
            if sum(times) < MOST_SECONDS:
                with bench.only_invalidation_of(strategy):
                    times.append(trials.time_write(bench, strategy, kind, next(targets)))
    return [
        Finding(strategy=name, kind=kind.name, pages=pages, stale_races=races, seconds=tuple(seconds[name]))
        for name, (pages, races) in checked.items()
    ]


def _check(bench: Bench, strategy: Strategy, kind: Kind) -> tuple[dict[Page, bool], int]:
    """Whether each page is stale after the write alone, and how many races end with a stale page."""
    if not strategy.caches:
        # It is the strategy that the others are compared with.
        return {}, 0
    alone, *overlapped = bench.make_targets(1 + len(RACES))
    with bench.only_invalidation_of(strategy):
        pages = trials.find_stale_pages(bench, strategy, kind, alone)
        lost = [race(bench, strategy, kind, target) for race, target in zip(RACES, overlapped, strict=True)]
    return pages, sum(lost)


def _figures(findings: Sequence[Finding]) -> Iterator[Figure]:
    for each in findings:
        figure = partial(Figure, strategy=each.strategy, case=each.kind)
        count = partial(figure, unit="count")
        yield count(name="stale", value=int(each.is_stale))
        for page, is_stale in each.pages.items():
            yield count(name=f"stale_{page}", value=int(is_stale))
        yield count(name="stale_race", value=each.stale_races)
        yield figure(name="write", value=summarise(each.seconds).p50, unit="s", series="write")
    for strategy, found in _by_strategy(findings).items():
        total = partial(Figure, strategy=strategy, case=CASE)
        count = partial(total, unit="count")
        yield count(name="kinds", value=len(found), better="neither")
        yield count(name="stale", value=sum(each.is_stale for each in found))
        yield count(name="stale_race", value=sum(each.is_stale_under_race for each in found))
        if strategy != names.UNCACHED:
            cost, extra = _price(found, findings)
            yield total(name="write_cost", unit="ratio", **vars(cost))
            yield total(name="write_extra", unit="s", value=extra)


def _by_strategy(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    strategies = dict.fromkeys(each.strategy for each in findings)
    return {name: [each for each in findings if each.strategy == name] for name in strategies}


def _price(found: Sequence[Finding], findings: Sequence[Finding]) -> tuple[Interval, float]:
    """How many times as long a write takes as without any invalidation, and how many seconds longer."""
    plain = {each.kind: median(each.seconds) for each in findings if each.strategy == names.UNCACHED}
    medians = [(median(each.seconds), plain[each.kind]) for each in found]
    cost = median_interval([taken / alone for taken, alone in medians])
    return cost, median(taken - alone for taken, alone in medians)


def _verdicts(findings: Sequence[Finding]) -> Iterator[str]:
    for strategy, found in _by_strategy(findings).items():
        if strategy == names.UNCACHED:
            continue
        stale = sum(each.is_stale for each in found)
        under_race = sum(each.is_stale_under_race for each in found)
        kinds, price = counted(len(found), "kind"), _say_price(*_price(found, findings))
        if stale or under_race:
            words = f"a page is STALE after {stale} of {kinds} of write, and after {under_race} in a race"
        else:
            words = f"the next answer shows each of {kinds} of write, also in a race"
        yield f"{strategy}: {words}; {price}."


def _say_price(cost: Interval, extra: float) -> str:
    if cost.has(1):
        return "the time of a write shows no significant difference"
    more = f", {say(extra, 's')} more" if extra > 0 else ""
    return f"a write takes {cost.value:.2f} times as long ({cost}{more})"
