"""What happens with a hundred times the data?

Measures: (a) the time of a hit, a miss and a save in catalogues of several sizes, for the first page of
the list, in scratch databases; (b) the time of an invalidation, which is the time of a save without the
database, and the memory of Redis, with several numbers of keys. For each of them it gives the exponent of
growth, which is the slope of a line through all samples on log-log axes. The exponent is 0 for a constant
and 1 for growth in proportion to the size. The time that a save takes for ``uncached`` is not an
invalidation. Strategies and sizes take turns, so that a busy moment of the machine affects all of them.

The method follows Goldsmith, Aiken and Wilkerson, Measuring Empirical Computational Complexity, FSE 2007,
who fit this line to show how programs scale. Following McSherry, Isard and Murray, Scalability! But at
what COST?, HotOS 2015, the times stand beside the slopes, because slow growth does not mean a short time.

Leaves out: pages other than the first page of the list, load, the simulated latency, the memory of the
processes, and the differences between a million real pages, because copies of one page fill Redis.
"""

from __future__ import annotations

from dataclasses import replace

from catalog.benchmarks.experiments.growth import keys, products
from catalog.benchmarks.experiments.growth.figures import (
    FAILED,
    INVALIDATION,
    MEMORY,
    MEMORY_PER_PAGE,
    OF_KEYS,
    OF_PRODUCTS,
    PAGES,
    SLOPE_OF_KEYS,
    SLOPE_OF_PRODUCTS,
    key_series,
    median_figure,
    page_figures,
    product_series,
    slope_figures,
)
from catalog.benchmarks.experiments.growth.fits import CONSTANT_UP_TO, grows
from catalog.benchmarks.experiments.growth.keys import measure_keys
from catalog.benchmarks.experiments.growth.products import measure_products
from catalog.benchmarks.experiments.growth.turns import HIT, MISS, PATH, WRITE
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Table
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.strategies.registry import UNCACHED

QUESTION = "What happens with a hundred times the data?"
WRITES = True

PRODUCTS: Scale[tuple[int, ...]] = Scale(
    quick=(1_000, 3_000, 10_000),
    normal=(1_000, 10_000, 100_000),
    thorough=(1_000, 10_000, 100_000, 1_000_000),
)
KEYS: Scale[tuple[int, ...]] = Scale(
    quick=(1_000, 10_000, 30_000),
    normal=(1_000, 10_000, 100_000),
    thorough=(1_000, 10_000, 100_000, 1_000_000),
)

# The other times grow with the database, whatever the cache does.
MUST_NOT_GROW = (HIT, INVALIDATION)
# With this exponent, a hundred times the size takes ten times as long.
FAULT_FROM = 0.5


def estimate_seconds(options: Options) -> float:
    return products.estimate_seconds(options, PRODUCTS.at(options.effort)) + sum(
        keys.estimate_seconds(options, size) for size in KEYS.at(options.effort)
    )


def measure(options: Options) -> ExperimentResult:
    of_products = measure_products(options, PRODUCTS.at(options.effort), on_progress=options.on_progress)
    of_keys = measure_keys(options, KEYS.at(options.effort), on_progress=options.on_progress)
    names = [strategy.name for strategy in options.strategies]
    series = [*product_series(of_products), *key_series(of_keys)]
    figures = [
        *(median_figure(each, options.seed) for each in series),
        *page_figures(of_keys),
        *slope_figures(series, names),
    ]
    result = ExperimentResult(
        experiment="growth",
        parameters={
            "path": PATH,
            "products": list(of_products.times),
            "keys": list(of_keys.findings),
            "without_invalidation": [name for name in names if not of_keys.invalidates[name]],
            "memory_is": "used_memory" if of_keys.from_server else "MEMORY USAGE of a page x pages",
        },
        figures=tuple(figures),
        series=tuple(series),
        warnings=(*of_products.warnings, *of_keys.warnings),
    )
    return replace(result, verdicts=tuple(_verdict(result, name) for name in names))


def tables(result: ExperimentResult) -> list[Table]:
    memory = (
        "as the server reports it, with the tables of its keys"
        if result.parameters["memory_is"] == "used_memory"
        else "MEMORY USAGE of one page, multiplied by the pages, without the tables of the keys"
    )
    unrated = [figure.strategy for figure in result.figures]
    any_failed = any(figure.name == FAILED and figure.value for figure in result.figures)
    return [
        tabulate(
            f"Time of {result.parameters['path']} and of a save, by number of products",
            _sized(result, OF_PRODUCTS),
            columns={HIT: "hit", MISS: "miss", WRITE: "save"},
            by_case=True,
            case_head="products",
        ),
        tabulate(
            "Invalidation by a save, and memory, by number of keys in Redis",
            _sized(result, OF_KEYS),
            columns={
                INVALIDATION: "invalidation",
                **({FAILED: "failed"} if any_failed else {}),
                PAGES: "pages",
                MEMORY: "memory",
                MEMORY_PER_PAGE: "a page",
            },
            by_case=True,
            case_head="keys",
            # A strategy that does nothing does not compete.
            unrated=[UNCACHED.name, *result.parameters["without_invalidation"]],
            is_bad=lambda figure: figure.name == FAILED and bool(figure.value),
            legend=(
                "invalidation: the time of a save without the database. Django's share is the value of "
                f"{UNCACHED.name}. memory: {memory}."
            ),
        ),
        tabulate(
            "Exponents of growth, with products (hit, miss, save) and with keys (invalidation, memory)",
            [each for each in result.figures if each.case in (SLOPE_OF_PRODUCTS, SLOPE_OF_KEYS)],
            columns={
                HIT: "hit",
                MISS: "miss",
                WRITE: "save",
                INVALIDATION: "invalidation",
                MEMORY: "memory",
            },
            unrated=unrated,
            is_bad=_is_fault,
            legend="0: constant. 1: in proportion to the size. Medians of the slopes between all samples.",
        ),
    ]


def _sized(result: ExperimentResult, start: str) -> list[Figure]:
    """The figures of the cases that begin with ``start``, with only the size as the case."""
    return [
        replace(figure, case=f"{int(figure.case.removeprefix(start)):,}")
        for figure in result.figures
        if figure.case.startswith(start)
    ]


def _is_fault(figure: Figure) -> bool:
    """Whether a hit or an invalidation grows. ``uncached`` is the baseline, so its growth is no fault."""
    return (
        figure.strategy != UNCACHED.name
        and figure.name in MUST_NOT_GROW
        and figure.value is not None
        and figure.value >= FAULT_FROM
        and figure.low is not None
        and figure.low > CONSTANT_UP_TO
    )


def _verdict(result: ExperimentResult, strategy: str) -> str:
    if strategy == UNCACHED.name:
        return f"{strategy}: {_growth(result, strategy, HIT, 'an answer')}."
    hits = _growth(result, strategy, HIT, "a hit")
    if strategy in result.parameters["without_invalidation"]:
        return f"{strategy}: {hits}; a save invalidates NOTHING."
    saves = _growth(result, strategy, INVALIDATION, "an invalidation")
    failed = sum(
        int(each.value or 0) for each in result.figures if (each.strategy, each.name) == (strategy, FAILED)
    )
    failures = f", and {failed} of them FAILED" if failed else ""
    return f"{strategy}: {hits}; {saves}{failures}."


def _growth(result: ExperimentResult, strategy: str, name: str, what: str) -> str:
    """Part of a sentence: whether the time grows, with which slope, and its value at the largest size."""
    case, start, noun = (
        (SLOPE_OF_PRODUCTS, OF_PRODUCTS, "products") if name == HIT else (SLOPE_OF_KEYS, OF_KEYS, "keys")
    )
    slope = result.figure(strategy, case, name)
    if slope is None or slope.value is None:
        return f"{what} was not measured with more {noun}"
    words = grows(slope.value, slope.low)
    if _is_fault(slope):
        words = words.upper()
    size = max(result.parameters[noun])
    last = result.figure(strategy, f"{start}{size}", name)
    interval = (
        f", 95% interval {say(slope.low, 'ratio')} to {say(slope.high, 'ratio')}"
        if slope.low is not None and slope.high is not None
        else ""
    )
    reached = say(last.value, "s") if last else "n/a"
    return (
        f"{what} {words} with the {noun} (slope {say(slope.value, 'ratio')}{interval}; {reached} at {size:,})"
    )
