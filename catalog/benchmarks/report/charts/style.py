"""The look of charts: the colours of the light and the dark theme, lines, axes and units.

The colours of the strategies are those of Okabe and Ito, Color Universal Design (2008), which the
colour-blind can tell apart. No chart says anything by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Figure, Unit

WIDTH_INCHES = 7.6
# The index of each strategy's colour in ``Theme.series``. Users' strategies get the remaining colours.
PLACES = {name: place for place, name in enumerate(names.STRATEGIES)} | dict.fromkeys(names.FLOORS, 4)
FIRST_SPARE_PLACE = 5
LINE_STYLES = {names.FLOOR: (0, (1, 2)), names.FLOOR_WITH_GET: (0, (4, 2))}
MARKERS = "sovD^<>P"


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours as matplotlib writes them. ``*_cell`` is the background of words in ``*_ink``."""

    background: str
    ink: str
    muted: str
    grid: str
    good_cell: str
    good_ink: str
    fair_cell: str
    fair_ink: str
    bad_cell: str
    bad_ink: str
    none_cell: str
    series: tuple[str, ...]

    def colours(self) -> dict[str, str]:
        """All colours, by names that CSS allows."""
        single = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "series"}
        several = {f"series-{number}": colour for number, colour in enumerate(self.series)}
        return {name.replace("_", "-"): colour for name, colour in (single | several).items()}


LIGHT = Theme(
    background="#ffffff",
    ink="#1b1f24",
    muted="#57606a",
    grid="#dfe3e8",
    good_cell="#d6e9f8",
    good_ink="#0b3a5c",
    fair_cell="#ffe2a8",
    fair_ink="#4a3200",
    bad_cell="#c64f00",
    bad_ink="#fffffe",
    none_cell="#eef0f2",
    series=("#6e7781", "#d55e00", "#cc79a7", "#0072b2", "#8c959f", "#009e73", "#e69f00", "#56b4e9"),
)
DARK = Theme(
    background="#14181d",
    ink="#e6e9ed",
    muted="#9aa4af",
    grid="#2c333b",
    good_cell="#123a57",
    good_ink="#cfe8fa",
    fair_cell="#5c4300",
    fair_ink="#ffe9bd",
    bad_cell="#e8742a",
    bad_ink="#140a02",
    none_cell="#232a31",
    series=("#aab3bd", "#f0802f", "#d994ba", "#56b4e9", "#7d8790", "#1fc295", "#e6a91f", "#8fd0f5"),
)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """``name`` names its files. ``alt`` says in words what it shows, ``caption`` how to read it."""

    name: str
    title: str
    caption: str
    alt: str
    height_inches: float
    draw: Callable[[Canvas, Theme], None]
    width_inches: float = WIDTH_INCHES


def arrange(canvas: Canvas) -> None:
    """Lay everything out, so that positions can be read."""
    engine = canvas.get_layout_engine()
    if engine is not None:
        engine.execute(canvas)


def strategies_of(figures: Iterable[Figure], *, leave_out: Sequence[str] = ()) -> list[str]:
    """The strategies in the order in which they were measured."""
    return [name for name in dict.fromkeys(figure.strategy for figure in figures) if name not in leave_out]


def cases_of(result: ExperimentResult) -> list[str]:
    return list(dict.fromkeys(figure.case for figure in result.figures))


def place_of(strategy: str, strategies: Sequence[str]) -> int:
    """The index of its colour in ``Theme.series``. A user's strategy gets a spare one."""
    if strategy in PLACES:
        return PLACES[strategy]
    others = [name for name in strategies if name not in PLACES]
    return FIRST_SPARE_PLACE + others.index(strategy) % (len(LIGHT.series) - FIRST_SPARE_PLACE)


def line_style(strategy: str, strategies: Sequence[str], theme: Theme) -> Mapping[str, Any]:
    """Keyword arguments for ``Axes.plot``: colour, marker and dashes."""
    place = place_of(strategy, strategies)
    return {
        "color": theme.series[place],
        "marker": MARKERS[place],
        # The two floors have the same colour, so the markers of one of them are hollow.
        "markerfacecolor": theme.background if strategy == names.FLOOR_WITH_GET else theme.series[place],
        "markersize": 5,
        "linewidth": 1.8,
        "linestyle": LINE_STYLES.get(strategy, "-"),
    }


def use_log_axis(axes: Axes, which: Literal["x", "y"], unit: Unit, values: Iterable[float]) -> None:
    """Ticks at decades, or at 1, 2 and 5 if there are few decades, each with its unit."""
    positive = [value for value in values if value > 0]
    is_short = not positive or max(positive) / min(positive) < 2000
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    locator = (
        LogLocator(base=2)
        if unit == "bytes"
        else LogLocator(subs=(1, 2, 5) if is_short else (1,), numticks=12)
    )
    axis.set_major_locator(locator)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: say_tick(value, unit)))
    axes.grid(axis=which)


def say_tick(value: float, unit: Unit) -> str:
    """A short text: 0, 5 ms, 10k, 2 MiB."""
    if not value:
        return "0"
    scales: dict[str, list[tuple[float, str]]] = {
        "s": [(1, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns")],
        "bytes": [(2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")],
    }
    for size, name in scales.get(unit, [(1e6, "M"), (1e3, "k"), (1, "")]):
        if value >= size * 0.9999:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"
