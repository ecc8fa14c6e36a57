"""How charts look: colours for light and dark, units on axes, and how one becomes a file.

The colours of the strategies are those of Okabe and Ito, Color Universal Design (2008), which stay
apart for the colour-blind. Nothing is told by colour alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from catalog.benchmarks.figures.results import Figure, Unit

Form = Literal["svg", "png"]
PNG_DOTS_PER_INCH = 160
WIDTH_INCHES = 7.6
PAD_INCHES = 0.07
SVG_FONTS = b"system-ui, 'DejaVu Sans', sans-serif"
# One place in a theme's ``series`` a strategy, the same in every chart; strangers get the rest.
PLACES = {"uncached": 0, "textbook": 1, "builtin": 2, "readcache": 3, "floor": 4, "floor-get": 4}
FIRST_SPARE_PLACE = 5
LINE_STYLES = {"floor": (0, (1, 2)), "floor-get": (0, (4, 2))}
MARKERS = "sovD^<>P"


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours as matplotlib writes them. ``*_cell`` are backgrounds of words in ``*_ink``."""

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
        """Every colour by a name that CSS understands."""
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
THEMES: dict[str, Theme] = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """``name`` is its file's. ``alt`` says in words what is to be seen, ``caption`` how to read it."""

    name: str
    title: str
    caption: str
    alt: str
    height_inches: float
    draw: Callable[[Canvas, Theme], None]
    width_inches: float = WIDTH_INCHES


def render(chart: Chart, theme: Theme, forms: Sequence[Form]) -> list[bytes]:
    """The chart's file in each form: the same bytes for the same figures, no date, no random names."""
    settings: Any = _settings(theme)
    with matplotlib.rc_context(settings):
        # Without pyplot, which would keep every chart, and choose a window system.
        canvas = Canvas(
            figsize=(chart.width_inches, chart.height_inches),
            layout=ConstrainedLayoutEngine(w_pad=PAD_INCHES, h_pad=PAD_INCHES),
        )
        chart.draw(canvas, theme)
        arrange(canvas)
        # What has found its place is not to look for it again for every file.
        canvas.set_layout_engine("none")
        return [_save(canvas, form) for form in forms]


def arrange(canvas: Canvas) -> None:
    """Give everything its place, so that positions can be asked for."""
    engine = canvas.get_layout_engine()
    if engine is not None:
        engine.execute(canvas)


def _save(canvas: Canvas, form: Form) -> bytes:
    output = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    canvas.savefig(output, format=form, dpi=PNG_DOTS_PER_INCH, metadata=metadata)
    written = output.getvalue()
    return written.replace(b"'DejaVu Sans'", SVG_FONTS) if form == "svg" else written


def _settings(theme: Theme) -> dict[str, Any]:
    return {
        **{f"{part}.facecolor": theme.background for part in ("figure", "axes", "savefig")},
        **{f"{axis}tick.{part}": theme.muted for axis in "xy" for part in ("color", "labelcolor")},
        "text.color": theme.ink,
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.grid,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        # Words stay words: they can be found and read aloud. Of the fonts that browsers have,
        # DejaVu is the widest, so no other one overflows the room measured with it.
        "svg.fonttype": "none",
        "svg.hashsalt": "bench_cache",
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
    }


def strategies_of(figures: Iterable[Figure], *, leave_out: Sequence[str] = ()) -> list[str]:
    """In the order in which they were measured."""
    return [name for name in dict.fromkeys(figure.strategy for figure in figures) if name not in leave_out]


def place_of(strategy: str, strategies: Sequence[str]) -> int:
    """Its place among a theme's ``series``; one that is not the project's own takes a spare one."""
    if strategy in PLACES:
        return PLACES[strategy]
    strangers = [name for name in strategies if name not in PLACES]
    return FIRST_SPARE_PLACE + strangers.index(strategy) % (len(LIGHT.series) - FIRST_SPARE_PLACE)


def line_style(strategy: str, strategies: Sequence[str], theme: Theme) -> Mapping[str, Any]:
    """Keyword arguments of ``Axes.plot``: a colour, a marker and a dash that go together."""
    place = place_of(strategy, strategies)
    return {
        "color": theme.series[place],
        "marker": MARKERS[place],
        # Hollow, where two have one colour.
        "markerfacecolor": theme.background if strategy == "floor-get" else theme.series[place],
        "markersize": 5,
        "linewidth": 1.8,
        "linestyle": LINE_STYLES.get(strategy, "-"),
    }


def use_log_axis(axes: Axes, which: Literal["x", "y"], unit: Unit, values: Iterable[float]) -> None:
    """Decades, or 1, 2, 5 where there are few, each tick with its unit."""
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
    """Short: 0, 5 ms, 10k, 2 MiB."""
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
