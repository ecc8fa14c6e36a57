from functools import partial
from typing import Any

from catalog.benchmarks.figures.results import Cell, Figure
from catalog.benchmarks.figures.tables import tabulate

time = partial(Figure, case="hit", name="p50", unit="s")
stale = partial(Figure, case="hit", name="stale", unit="count")


def rows(*figures: Figure, **options: Any) -> list[tuple[Cell, ...]]:
    columns = {"p50": "p50", "stale": "stale answers"}
    return [*tabulate("Title", figures, columns=columns, **options).rows]


def test_each_strategy_has_a_row_and_each_head_has_a_unit() -> None:
    table = tabulate(
        "Title",
        [time(strategy="a", value=0.002), stale(strategy="a", value=3), time(strategy="b", value=0.5)],
        columns={"p50": "median", "stale": "stale answers", "missing": "never measured"},
    )

    assert table.heads == ("strategy", "median ms", "stale answers")
    assert [[cell.text for cell in row] for row in table.rows] == [["a", "2.00", "3"], ["b", "500", ""]]


def test_the_best_of_a_column_is_marked() -> None:
    found = rows(time(strategy="a", value=2), time(strategy="b", value=1), time(strategy="c", value=3))

    assert [row[1].rating for row in found] == ["", "best", ""]


def test_the_greatest_value_is_best_if_more_is_better() -> None:
    rate = partial(time, better="higher")

    assert [row[1].rating for row in rows(rate(strategy="a", value=2), rate(strategy="b", value=1))] == [
        "best",
        "",
    ]


def test_no_value_is_best_if_all_are_equal_or_there_is_no_better_direction() -> None:
    neither = partial(time, better="neither")

    assert [row[1].rating for row in rows(time(strategy="a", value=1), time(strategy="b", value=1))] == [
        "",
        "",
    ]
    assert [
        row[1].rating for row in rows(neither(strategy="a", value=1), neither(strategy="b", value=2))
    ] == [
        "",
        "",
    ]


def test_a_floor_is_never_marked_as_best() -> None:
    found = rows(
        time(strategy="floor", value=1),
        time(strategy="a", value=2),
        time(strategy="b", value=3),
        unrated=["floor"],
    )

    assert [row[1].rating for row in found] == ["", "best", ""]


def test_a_fault_is_marked_and_is_never_best() -> None:
    found = rows(
        stale(strategy="a", value=1), stale(strategy="b", value=2), is_bad=lambda figure: bool(figure.value)
    )

    assert [row[1].rating for row in found] == ["bad", "bad"]


def test_each_case_has_its_own_best_value() -> None:
    figures = [
        Figure(strategy=strategy, case=case, name="p50", unit="s", value=value)
        for case, strategy, value in (("x", "a", 1), ("x", "b", 2), ("y", "a", 9), ("y", "b", 8))
    ]

    found = rows(*figures, by_case=True)
    assert [[cell.text for cell in row[:2]] for row in found] == [
        ["x", "a"],
        ["x", "b"],
        ["y", "a"],
        ["y", "b"],
    ]
    assert [row[2].rating for row in found] == ["best", "", "", "best"]
