"""The tables of all kinds of write: which strategies notice them, and how long they take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalog.benchmarks.experiments.invalidation.trials import ASKED
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import Cell, ExperimentResult, Table
from catalog.benchmarks.figures.sentences import words_of
from catalog.benchmarks.figures.units import NOT_MEASURED, format_quantity

MILLISECONDS = ("ms", 1e-3)


def notice_table(result: ExperimentResult, kinds: Sequence[str]) -> Table:
    rows = ((_title(kind), *(_worst(result, each, kind) for each in result.strategies)) for kind in kinds)
    return Table(
        title="The next answer after a write",
        heads=("write", *result.strategies),
        rows=tuple(rows),
        words=1 + len(result.strategies),
        legend=(
            "stale: a page that the write changes does not show it. If other pages show it, the stale ones "
            "are named: the product (detail), the list of products of its category, the category. stale in "
            "a race: all pages show the write, unless a reader asks between the write and its COMMIT, or "
            "reads before the write and stores the page after it."
        ),
    )


def _worst(result: ExperimentResult, strategy: str, kind: str) -> Cell:
    pages = {page: result.value(strategy, kind, f"stale_{page}") for page in ASKED}
    stale = [page for page, is_stale in pages.items() if is_stale]
    if stale:
        some_are_fresh = 0 in pages.values()
        return Cell(f"stale: {', '.join(stale)}" if some_are_fresh else "stale", "bad")
    if result.value(strategy, kind, "stale_race"):
        return Cell("stale in a race", "bad")
    return Cell("fresh")


def price_table(result: ExperimentResult, kinds: Sequence[str]) -> Table:
    ratio = f"/ {names.UNCACHED}"
    heads = [
        [f"{each} ms"] if each == names.UNCACHED else [f"{each} ms", ratio] for each in result.strategies
    ]
    return Table(
        title="The time of a write, at the median",
        heads=("write", *(head for pair in heads for head in pair)),
        rows=tuple((_title(kind), *_times_of(result, kind)) for kind in kinds),
        legend=(
            f"{ratio}: relative to the same write when no cache is invalidated. A cache that does not notice "
            "a write spends no time on it."
        ),
    )


def _times_of(result: ExperimentResult, kind: str) -> Iterator[Cell]:
    plain = result.value(names.UNCACHED, kind, "write")
    for strategy in result.strategies:
        taken = result.value(strategy, kind, "write")
        yield Cell(format_quantity(taken, "s", MILLISECONDS))
        if strategy != names.UNCACHED:
            yield Cell(f"{taken / plain:.2f}" if taken and plain else NOT_MEASURED)


def _title(kind: str) -> Cell:
    return Cell(words_of(kind))
