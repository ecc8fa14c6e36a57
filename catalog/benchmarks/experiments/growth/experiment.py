"""What happens with a hundred times the data?

Measures: (a) the time of a hit, a miss and a save in catalogues of several sizes, for the first page of
the list, in scratch databases; (b) the time of an invalidation, which is the time of a save without the
database, and the memory of Redis, with several numbers of keys in a scratch Redis. For each of them it
gives the exponent of growth, which is the slope of a line through all samples on log-log axes. The exponent
is 0 for a constant and 1 for growth in proportion to the size. The time that a save takes for ``uncached``
is not an invalidation. Strategies and sizes take turns, so that a busy moment of the machine affects all of
them.

The method follows Goldsmith, Aiken and Wilkerson, Measuring Empirical Computational Complexity, FSE 2007,
who fit this line to show how programs scale. Following McSherry, Isard and Murray, Scalability! But at
what COST?, HotOS 2015, the times stand beside the slopes, because slow growth does not mean a short time.

Leaves out: pages other than the first page of the list, load, the simulated latency, the memory of the
processes, and the differences between a million real pages, because copies of one page fill Redis.
"""

from __future__ import annotations

from dataclasses import replace

from catalog.benchmarks.experiments.growth import figures as forms
from catalog.benchmarks.experiments.growth.keys import measure_keys
from catalog.benchmarks.experiments.growth.products import HIT, MISS, PATH, WRITE, measure_products
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Table
from catalog.benchmarks.figures.statistics import median_figure
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.options import Options, Scale
from readcache.wording import counted

QUESTION = "What happens with a hundred times the data?"
WRITES = True
SECONDS_PER_STRATEGY = Scale(quick=4.6, normal=13.0, thorough=77.0)

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

# The other times grow with the database in any case.
MUST_NOT_GROW = (HIT, forms.INVALIDATION)
# With this exponent, a hundred times the size takes ten times as long.
FAULT_FROM = 0.5


def measure(options: Options) -> ExperimentResult:
    half = options.reporting_to(lambda share: options.on_progress(share / 2))
    of_products = measure_products(half, PRODUCTS.at(options.effort))
    of_keys = measure_keys(half, KEYS.at(options.effort))
    strategies = [strategy.name for strategy in options.strategies]
    series = [*forms.product_series(of_products), *forms.key_series(of_keys)]
    result = ExperimentResult(
        experiment="growth",
        parameters={
            "path": PATH,
            "products": list(of_products.times),
            "keys": list(of_keys.findings),
            "without_invalidation": [name for name in strategies if not of_keys.invalidates[name]],
        },
        figures=(
            *(median_figure(each, seed=options.seed) for each in series),
            *forms.page_figures(of_keys),
            *forms.slope_figures(series, strategies),
        ),
        series=tuple(series),
        warnings=(*of_products.warnings, *of_keys.warnings),
    )
    return replace(result, verdicts=tuple(_verdict(result, name) for name in strategies))


def tables(result: ExperimentResult) -> list[Table]:
    return [_product_table(result), _key_table(result), _slope_table(result)]


def _product_table(result: ExperimentResult) -> Table:
    return tabulate(
        f"Time of {result.parameters['path']} and of a save, by number of products",
        _sized(result, forms.OF_PRODUCTS),
        columns={HIT: "hit", MISS: "miss", WRITE: "save"},
        by_case=True,
        case_head="products",
    )


def _key_table(result: ExperimentResult) -> Table:
    any_failed = any(figure.name == forms.FAILED and figure.value for figure in result.figures)
    return tabulate(
        "Invalidation by a save, and memory, by number of keys in Redis",
        _sized(result, forms.OF_KEYS),
        columns={
            forms.INVALIDATION: "invalidation",
            **({forms.FAILED: "failed"} if any_failed else {}),
            forms.PAGES: "pages",
            forms.MEMORY: "memory",
            forms.MEMORY_PER_PAGE: "per page",
        },
        by_case=True,
        case_head="keys",
        # A strategy that does nothing does not compete.
        unrated=[names.UNCACHED, *result.parameters["without_invalidation"]],
        is_bad=lambda figure: figure.name == forms.FAILED and bool(figure.value),
        legend=(
            "invalidation: the time of a save without the database. Django's share is the value of "
            f"{names.UNCACHED}. memory: as the server reports it, with the tables of its keys."
        ),
    )


def _slope_table(result: ExperimentResult) -> Table:
    return tabulate(
        "Exponents of growth, with products (hit, miss, save) and with keys (invalidation, memory)",
        [each for each in result.figures if each.case in (forms.SLOPE_OF_PRODUCTS, forms.SLOPE_OF_KEYS)],
        columns={
            HIT: "hit",
            MISS: "miss",
            WRITE: "save",
            forms.INVALIDATION: "invalidation",
            forms.MEMORY: "memory",
        },
        unrated=[figure.strategy for figure in result.figures],
        is_bad=_is_fault,
        legend="0: constant. 1: in proportion to the size. Medians of the slopes between all samples.",
    )


def _sized(result: ExperimentResult, start: str) -> list[Figure]:
    """The figures of the cases that begin with ``start``, with only the size as their case."""
    return [
        replace(figure, case=f"{int(figure.case.removeprefix(start)):,}")
        for figure in result.figures
        if figure.case.startswith(start)
    ]


def _is_fault(figure: Figure) -> bool:
    """Whether a hit or an invalidation grows. ``uncached`` is the baseline, so its growth is no fault."""
    return (
        figure.strategy != names.UNCACHED
        and figure.name in MUST_NOT_GROW
        and figure.value is not None
        and figure.value >= FAULT_FROM
        and figure.low is not None
        and figure.low > forms.CONSTANT_UP_TO
    )


def _verdict(result: ExperimentResult, strategy: str) -> str:
    if strategy == names.UNCACHED:
        return f"{strategy}: {_growth(result, strategy, HIT, 'the time of an answer')}."
    hits = _growth(result, strategy, HIT, "the time of a hit")
    if strategy in result.parameters["without_invalidation"]:
        return f"{strategy}: {hits}; a save invalidates NOTHING."
    saves = _growth(result, strategy, forms.INVALIDATION, "the time of an invalidation")
    found = [each for each in result.figures if (each.strategy, each.name) == (strategy, forms.FAILED)]
    failed = sum(int(each.value or 0) for each in found)
    failures = f", and {counted(failed, 'invalidation')} FAILED" if failed else ""
    return f"{strategy}: {hits}; {saves}{failures}."


def _growth(result: ExperimentResult, strategy: str, name: str, what: str) -> str:
    """Part of a sentence: whether the time grows, with which slope, and its value at the largest size."""
    case, start, noun = (
        (forms.SLOPE_OF_PRODUCTS, forms.OF_PRODUCTS, "products")
        if name == HIT
        else (forms.SLOPE_OF_KEYS, forms.OF_KEYS, "keys")
    )
    slope = result.figure(strategy, case, name)
    if slope is None or slope.value is None:
        return f"{what} was not measured with more {noun}"
    words = forms.grows(slope.value, slope.low)
    size = max(result.parameters[noun])
    last = say(result.value(strategy, f"{start}{size}", name), "s")
    interval = ""
    if slope.low is not None and slope.high is not None:
        interval = f", 95% interval {say(slope.low, 'ratio')} to {say(slope.high, 'ratio')}"
    return (
        f"{what} {words.upper() if _is_fault(slope) else words} with the {noun} (slope "
        f"{say(slope.value, 'ratio')}{interval}; {last} at {size:,})"
    )
