"""Draws a chart once, with a placeholder for each colour, and then colours it for a file or a page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine

from catalog.benchmarks.report.charts.style import DARK, LIGHT, PAINT, Chart, arrange

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
        # The metadata says nothing, and the page decides about the size.
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
    """The same figures give the same bytes: there are no dates and no random names in them."""
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
