"""The look of charts, and how they are drawn: with a placeholder for each colour, coloured later.

Okabe and Ito, Color Universal Design (2008), chose the colours of the strategies so that colour-blind
readers can tell them apart. No chart says anything by colour alone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import Unit

WIDTH_INCHES = 7.6
# The number of each strategy's colour of a series. Users' strategies get the remaining colours.
PLACES = {name: place for place, name in enumerate(names.STRATEGIES)} | dict.fromkeys(names.FLOORS, 4)
FIRST_SPARE_PLACE = 5
LINE_STYLES = {names.FLOOR: (0, (1, 2)), names.FLOOR_WITH_GET: (0, (4, 2))}
MARKERS = "sovD^<>P"

# Each colour in the light theme and in the dark one. A cell is the background of words in ink of its kind.
COLOURS = {
    "background": ("#ffffff", "#14181d"),
    "ink": ("#1b1f24", "#e6e9ed"),
    "muted": ("#57606a", "#9aa4af"),
    "grid": ("#dfe3e8", "#2c333b"),
    "good-cell": ("#d6e9f8", "#123a57"),
    "good-ink": ("#0b3a5c", "#cfe8fa"),
    "fair-cell": ("#ffe2a8", "#5c4300"),
    "fair-ink": ("#4a3200", "#ffe9bd"),
    "bad-cell": ("#c64f00", "#e8742a"),
    "bad-ink": ("#fffffe", "#140a02"),
    "none-cell": ("#eef0f2", "#232a31"),
    "none-ink": ("#1b1f24", "#e6e9ed"),
    "series-0": ("#6e7781", "#aab3bd"),
    "series-1": ("#d55e00", "#f0802f"),
    "series-2": ("#cc79a7", "#d994ba"),
    "series-3": ("#0072b2", "#56b4e9"),
    "series-4": ("#8c959f", "#7d8790"),
    "series-5": ("#009e73", "#1fc295"),
    "series-6": ("#e69f00", "#e6a91f"),
    "series-7": ("#56b4e9", "#8fd0f5"),
}
SERIES = sum(name.startswith("series-") for name in COLOURS)
LIGHT, DARK = ({name: pair[place] for name, pair in COLOURS.items()} for place in (0, 1))
# Charts are drawn in these, which no theme has. Each stands for one colour of the themes.
PAINT = {name: f"#0100{number:02x}" for number, name in enumerate(COLOURS)}

PAD_INCHES = 0.07
SVG_FONTS = "system-ui, 'DejaVu Sans', sans-serif"
SUFFIXES = {"": LIGHT, "-dark": DARK}
SETTINGS: Any = {
    **{f"{part}.facecolor": PAINT["background"] for part in ("figure", "axes", "savefig")},
    **{f"{axis}tick.{part}": PAINT["muted"] for axis in "xy" for part in ("color", "labelcolor")},
    "text.color": PAINT["ink"],
    "axes.labelcolor": PAINT["muted"],
    "axes.edgecolor": PAINT["grid"],
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": PAINT["grid"],
    "grid.linewidth": 0.8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    # Text remains text, which can be searched and read aloud. DejaVu Sans is the widest of the
    # fonts that browsers use, so the others fit into the room that was measured with it.
    "svg.fonttype": "none",
    "svg.hashsalt": "bench_cache",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """``name`` names its files. ``alt`` describes it in words, and ``caption`` explains how to read it."""

    name: str
    title: str
    caption: str
    alt: str
    height_inches: float
    draw: Callable[[Canvas], None]
    width_inches: float = WIDTH_INCHES


def arrange(canvas: Canvas) -> None:
    """Lay everything out, so that positions are known."""
    engine = canvas.get_layout_engine()
    if engine is not None:
        engine.execute(canvas)


def place_of(strategy: str, strategies: Sequence[str]) -> int:
    """The number of its colour. A user's strategy gets a spare one."""
    if strategy in PLACES:
        return PLACES[strategy]
    others = [name for name in strategies if name not in PLACES]
    return FIRST_SPARE_PLACE + others.index(strategy) % (SERIES - FIRST_SPARE_PLACE)


def colour_of(strategy: str, strategies: Sequence[str]) -> str:
    return PAINT[f"series-{place_of(strategy, strategies)}"]


def line_style(strategy: str, strategies: Sequence[str]) -> Mapping[str, Any]:
    """Keyword arguments for ``Axes.plot``: colour, marker and dashes."""
    colour = colour_of(strategy, strategies)
    return {
        "color": colour,
        "marker": MARKERS[place_of(strategy, strategies)],
        # The two floors have the same colour, so the markers of one of them are hollow.
        "markerfacecolor": PAINT["background"] if strategy == names.FLOOR_WITH_GET else colour,
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


@dataclass(frozen=True, kw_only=True)
class DrawnChart:
    """``svg`` has the colours of ``PAINT``."""

    chart: Chart
    svg: str

    def coloured(self, theme: Mapping[str, str]) -> str:
        return _repainted(self.svg, theme)

    def write_files(self, folder: Path, *, name: str = "") -> list[Path]:
        """``latency.svg`` and ``latency-dark.svg``, or with another name than the chart's."""
        written = []
        for suffix, theme in SUFFIXES.items():
            written.append(folder / f"{name or self.chart.name}{suffix}.svg")
            written[-1].write_text(self.coloured(theme), encoding="utf-8")
        return written

    def inline(self) -> str:
        """An ``<svg>`` element whose colours are CSS variables and whose ids are unique in the page."""
        text = self.svg[self.svg.index("<svg") :]
        # The metadata is empty, and the page decides about the size.
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
        text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
        text = text.replace("<svg", '<svg aria-hidden="true"', 1)
        text = _repainted(text, {name: f"var(--chart-{name})" for name in PAINT})
        return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.chart.name}-", text)


def _repainted(svg: str, colours: Mapping[str, str]) -> str:
    for name, placeholder in PAINT.items():
        svg = svg.replace(placeholder, colours[name])
    return svg


def variables_css(theme: Mapping[str, str]) -> str:
    """The colours of a theme as declarations of CSS variables."""
    return " ".join(f"--chart-{name}: {colour};" for name, colour in theme.items())


def draw(chart: Chart) -> DrawnChart:
    """The same figures give the same bytes, without dates and random names."""
    with matplotlib.rc_context(SETTINGS):
        # Not by pyplot, which would keep every chart and choose a window system.
        canvas = Canvas(
            figsize=(chart.width_inches, chart.height_inches),
            layout=ConstrainedLayoutEngine(w_pad=PAD_INCHES, h_pad=PAD_INCHES),
        )
        chart.draw(canvas)
        arrange(canvas)
        # Everything has its place now. savefig() must not lay it out again.
        canvas.set_layout_engine("none")
        output = io.StringIO()
        canvas.savefig(output, format="svg", metadata={"Date": None, "Creator": None})
    return DrawnChart(chart=chart, svg=output.getvalue().replace("'DejaVu Sans'", SVG_FONTS))
