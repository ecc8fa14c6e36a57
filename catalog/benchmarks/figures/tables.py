"""Builds tables from figures. Terminals, Markdown and HTML show the same tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from catalog.benchmarks.figures.results import Cell, Figure, Table
from catalog.benchmarks.figures.units import column


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
    """One row for each strategy, or for each case and strategy; one column for each name in ``columns``.

    ``columns`` maps the name of a figure to the head of its column. In each column the best strategy
    of a case is rated "best", unless all are equally good. Strategies in ``unrated``, such as floors,
    do not compete.
    """
    chosen = [figure for figure in figures if figure.name in columns]
    by_place = {(figure.case if by_case else "", figure.strategy, figure.name): figure for figure in chosen}
    places = list(dict.fromkeys((case, strategy) for case, strategy, _ in by_place))
    heads = [case_head, "strategy"] if by_case else ["strategy"]
    rows = [[Cell(text) for text in (place if by_case else place[1:])] for place in places]
    words = len(heads)
    for name, head in columns.items():
        found = [by_place.get((*place, name)) for place in places]
        units = [figure.unit for figure in found if figure]
        if not units:
            continue
        unit, texts = column([figure.value if figure else None for figure in found], units[0])
        heads.append(f"{head} {unit}".strip())
        best = _best([figure for figure in found if figure and figure.strategy not in unrated])
        for row, figure, text in zip(rows, found, texts, strict=True):
            row.append(_cell(figure, text, best, is_bad))
    return Table(title=title, heads=tuple(heads), rows=tuple(map(tuple, rows)), words=words, legend=legend)


def _cell(figure: Figure | None, text: str, best: set[str], is_bad: Callable[[Figure], bool]) -> Cell:
    if figure is None:
        return Cell("")
    if is_bad(figure):
        return Cell(text, "bad")
    return Cell(text, "best" if figure.path in best else "")


def _best(figures: Sequence[Figure]) -> set[str]:
    """The paths of the best figures of each case. A case in which all figures are equal has none."""
    by_case: dict[str, dict[str, float]] = {}
    for figure in figures:
        if figure.value is not None and figure.better != "neither":
            sign = 1 if figure.better == "lower" else -1
            by_case.setdefault(figure.case, {})[figure.path] = sign * figure.value
    return {
        path
        for values in by_case.values()
        for path, value in values.items()
        if value == min(values.values()) < max(values.values())
    }
