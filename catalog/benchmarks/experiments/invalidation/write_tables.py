"""The tables of a write's every kind: who notices it, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalog.benchmarks.experiments.invalidation.trials import ASKED
from catalog.benchmarks.figures.results import Cell, ExperimentResult, Table
from catalog.benchmarks.figures.units import NOT_MEASURED, format_quantity
from catalog.benchmarks.strategies.registry import UNCACHED

MILLISECONDS = ("ms", 1e-3)


def notice_table(result: ExperimentResult, strategies: Sequence[str], kinds: Sequence[str]) -> Table:
    return Table(
        title="The next answer after a write",
        heads=("write", *strategies),
        rows=tuple(
            (Cell(_title(kind)), *(_worst(result, strategy, kind) for strategy in strategies))
            for kind in kinds
        ),
        words=1 + len(strategies),
        legend=(
            "stale: a page that the write changes does not show it. Where others do, it is named: the "
            "product's (detail), the list of its category's products, the category's. stale under race: "
            "all show it, but not if somebody read between the write and its COMMIT, or read before the "
            "write and stored the page after it."
        ),
    )


def _worst(result: ExperimentResult, strategy: str, kind: str) -> Cell:
    pages = {page: _value(result, strategy, kind, f"stale_{page}") for page in ASKED}
    stale = [page for page, is_stale in pages.items() if is_stale]
    if stale:
        some_are_fresh = 0 in pages.values()
        return Cell(f"stale: {', '.join(stale)}" if some_are_fresh else "stale", "bad")
    if _value(result, strategy, kind, "stale_race"):
        return Cell("stale under race", "bad")
    return Cell("fresh")


def price_table(result: ExperimentResult, strategies: Sequence[str], kinds: Sequence[str]) -> Table:
    heads = ["write"]
    for strategy in strategies:
        heads.append(f"{strategy} ms")
        if strategy != UNCACHED.name:
            heads.append(f"/ {UNCACHED.name}")
    return Table(
        title="What a write takes, at the median",
        heads=tuple(heads),
        rows=tuple((Cell(_title(kind)), *_times_of(result, strategies, kind)) for kind in kinds),
        legend=(
            f"/ {UNCACHED.name}: against the same write when no cache is told. A cache that does not notice "
            "a write spends nothing on it."
        ),
    )


def _times_of(result: ExperimentResult, strategies: Sequence[str], kind: str) -> Iterator[Cell]:
    plain = _value(result, UNCACHED.name, kind, "write")
    for strategy in strategies:
        taken = _value(result, strategy, kind, "write")
        yield Cell(format_quantity(taken, "s", MILLISECONDS))
        if strategy != UNCACHED.name:
            yield Cell(f"{taken / plain:.2f}" if taken and plain else NOT_MEASURED)


def _value(result: ExperimentResult, strategy: str, kind: str, name: str) -> float | None:
    figure = result.figure(strategy, kind, name)
    return figure.value if figure else None


def _title(kind: str) -> str:
    return kind.replace("_", " ")
