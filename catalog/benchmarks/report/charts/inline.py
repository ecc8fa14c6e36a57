"""A chart as a part of a page, which gives it its colours."""

from __future__ import annotations

import re
from dataclasses import fields

from catalog.benchmarks.report.charts.style import LIGHT, THEMES, Chart, Theme, render

# Colours that no chart has, each of which is replaced by the name of a CSS variable.
PLACEHOLDER = "#0100{:02x}"


def inline_svg(chart: Chart) -> str:
    """An ``<svg>`` in the page's own colours, whose ids are its own."""
    placeholders, names = _placeholders()
    [svg] = render(chart, placeholders, ["svg"])
    text = svg.decode()
    text = text[text.index("<svg") :]
    # The file's own description says nothing; its size is the page's to decide.
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg", '<svg aria-hidden="true"', 1)
    for colour, name in names.items():
        text = text.replace(colour, f"var(--chart-{name})")
    text = re.sub(r'\bid="', rf'id="{chart.name}-', text)
    text = re.sub(r"url\(#", rf"url(#{chart.name}-", text)
    return re.sub(r'href="#', rf'href="#{chart.name}-', text)


def variables_css(theme_name: str) -> str:
    """The colours of a theme as declarations of CSS variables."""
    colours = THEMES[theme_name].colours()
    return " ".join(f"--chart-{name}: {colour};" for name, colour in colours.items())


def _placeholders() -> tuple[Theme, dict[str, str]]:
    """A theme of placeholders, and the variable's name for each."""
    names = {PLACEHOLDER.format(number): name for number, name in enumerate(LIGHT.colours())}
    by_name = {name: colour for colour, name in names.items()}
    single = {
        field.name: by_name[field.name.replace("_", "-")] for field in fields(Theme) if field.name != "series"
    }
    series = tuple(by_name[f"series-{number}"] for number in range(len(LIGHT.series)))
    return Theme(**single, series=series), names
