"""Tables of figures, which terminals, Markdown and HTML show alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from catalog.benchmarks.figures.results import Figure
from catalog.benchmarks.figures.units import column

Mark = Literal["", "best", "bad"]


@dataclass(frozen=True)
class Cell:
    text: str
    mark: Mark = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """``words`` is how many columns, from the left, are words; the others are numbers."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: int = 1
    legend: str = ""


def tabulate(
    title: str,
    figures: Iterable[Figure],
    *,
    columns: Mapping[str, str],
    by_case: bool = False,
    case_head: str = "case",
    unrated: Sequence[str] = (),
    is_bad: Callable[[Figure], bool] = lambda _: False,
    legend: str = "",
) -> Table:
    """A row a strategy, or a case and strategy, and a column for each name in ``columns``.

    ``columns`` maps a figure's name to its head. In each column the best strategy of a case is
    marked where they differ; ``unrated`` strategies, such as floors, take no part in that.
    """
    chosen = [figure for figure in figures if figure.name in columns]
    places = {(figure.case if by_case else "", figure.strategy): None for figure in chosen}
    by_place = {((figure.case if by_case else ""), figure.strategy, figure.name): figure for figure in chosen}
    heads: list[str] = [case_head, "strategy"] if by_case else ["strategy"]
    texts: list[list[Cell]] = [
        [Cell(case), Cell(strategy)] if by_case else [Cell(strategy)] for case, strategy in places
    ]
    words = len(heads)
    for name, head in columns.items():
        found = [by_place.get((case, strategy, name)) for case, strategy in places]
        units = [figure.unit for figure in found if figure]
        if not units:
            continue
        unit, cells = column([figure.value if figure else None for figure in found], units[0])
        heads.append(f"{head} {unit}".strip())
        best = _best(found, unrated)
        for row, figure, text in zip(texts, found, cells, strict=True):
            row.append(_cell(figure, text, best, is_bad))
    return Table(title=title, heads=tuple(heads), rows=tuple(map(tuple, texts)), words=words, legend=legend)


def _cell(figure: Figure | None, text: str, best: set[str], is_bad: Callable[[Figure], bool]) -> Cell:
    if figure is None:
        return Cell("")
    if is_bad(figure):
        return Cell(text, "bad")
    return Cell(text, "best" if figure.path in best else "")


def _best(found: Sequence[Figure | None], unrated: Sequence[str]) -> set[str]:
    """The paths of the best figure of each case, where not all are equally good."""
    rated: dict[str, list[Figure]] = {}
    for figure in found:
        if (
            figure
            and figure.value is not None
            and figure.better != "neither"
            and figure.strategy not in unrated
        ):
            rated.setdefault(figure.case, []).append(figure)
    best = set()
    for figures in rated.values():
        values = [figure.value for figure in figures if figure.value is not None]
        goal = min(values) if figures[0].better == "lower" else max(values)
        if len(set(values)) > 1:
            best |= {figure.path for figure in figures if figure.value == goal}
    return best
