"""How often is an answer stale?

Measures: readers request pages from real servers (gunicorn) over HTTP while other processes write in every
way that the shop knows, including writes that are rolled back. Each fact on a page (a price, a stock, a
name) has a version that grows with each write. An answer is stale if it lacks a version that was
acknowledged before the request began. A value that was only ever rolled back is uncommitted data.

The method follows the consistency checkers of distributed databases (Kingsbury's Jepsen) and the staleness
measure of Bailis et al., Probabilistically Bounded Staleness for Practical Partial Quorums, VLDB 2012.
Leaves out: the time that answers take.
"""

from __future__ import annotations

from functools import partial

from catalog.benchmarks.experiments.freshness.soak import READERS, WORKERS, WRITERS, FreshnessResult, soak
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Table
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.strategies.registry import UNCACHED

QUESTION = "How often is an answer stale?"
WRITES = True
SECONDS_PER_STRATEGY = Scale(quick=7.0, normal=14.0, thorough=34.0)

SECONDS = Scale(quick=3.0, normal=10.0, thorough=30.0)
CASE = "freshness"
MILLION = 1_000_000


def measure(options: Options) -> ExperimentResult:
    seconds = SECONDS.at(options.effort)
    results = []
    for strategy in options.strategies:
        results.append(soak(strategy, seconds=seconds, seed=options.seed))
        options.on_progress(1 / len(options.strategies))
    return ExperimentResult(
        experiment="freshness",
        parameters={"seconds": seconds, "readers": READERS, "writers": WRITERS, "workers": WORKERS},
        figures=tuple(figure for result in results for figure in _figures(result)),
        verdicts=tuple(_verdict(result) for result in results),
    )


def tables(result: ExperimentResult) -> list[Table]:
    columns = {
        "reads": "reads",
        "hit_share": "hits",
        "writes": "writes",
        "rollbacks": "rolled back",
        "stale": "stale reads",
        "stale_per_million": "stale per million",
        "uncommitted": "uncommitted data",
        "oldest_stale": "oldest stale answer",
    }
    faults = ("stale", "stale_per_million", "uncommitted", "oldest_stale")
    return [
        tabulate(
            "Reads from real servers while others write",
            result.figures,
            columns=columns,
            is_bad=lambda figure: figure.name in faults and bool(figure.value),
            legend="stale: the answer lacks a write that was acknowledged before the request began.",
        )
    ]


def _figures(result: FreshnessResult) -> list[Figure]:
    figure = partial(Figure, strategy=result.strategy, case=CASE)
    count = partial(figure, unit="count", better="neither")
    fault = partial(figure, unit="count")
    return [
        count(name="reads", value=result.reads),
        figure(name="hit_share", value=result.hit_share, unit="share", better="higher"),
        count(name="writes", value=result.writes),
        count(name="rollbacks", value=result.rollbacks),
        fault(name="stale", value=result.stale_reads),
        fault(name="stale_per_million", value=MILLION * result.stale_reads / result.reads),
        fault(name="uncommitted", value=result.uncommitted_reads),
        figure(name="oldest_stale", value=result.oldest_stale_seconds, unit="s"),
    ]


def _verdict(result: FreshnessResult) -> str:
    if result.is_fresh:
        hits = f", {result.hit_share:.0%} of them from the cache" if result.strategy != UNCACHED.name else ""
        return f"{result.strategy}: all of {result.reads:,} answers were fresh{hits}."
    faults = []
    if result.stale_reads:
        faults.append(
            f"{result.stale_reads:,} of {result.reads:,} answers were STALE, "
            f"by up to {say(result.oldest_stale_seconds, 's')}"
        )
    if result.uncommitted_reads:
        faults.append(f"{result.uncommitted_reads:,} of {result.reads:,} answers showed UNCOMMITTED data")
    return f"{result.strategy}: {'; '.join(faults)}."
