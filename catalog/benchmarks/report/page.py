"""A run as one web page that needs nothing but itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.figures.tables import Table
from catalog.benchmarks.report.charts import Chart, charts_of, overview_charts
from catalog.benchmarks.report.charts.inline import inline_svg, variables_css
from catalog.benchmarks.report.contents import SIGNS, Section, introduction, legend_of_marks, sections
from catalog.benchmarks.strategies.registry import FLOOR_NAMES, STRATEGIES, UNCACHED

REM_PER_INCH, SMALLEST_SCALE = 6.25, 0.7
TEMPLATES = Path(__file__).parent / "templates"


def render_page(run: Run) -> str:
    shown, charts = sections(run), charts_of(run)
    what, where = introduction(run)
    context = {
        "what": what,
        "where": where,
        "overview": _figures(overview_charts(run)),
        "sections": [_section(section, charts.get(section.experiment, ())) for section in shown],
        "legend": legend_of_marks([table for section in shown for table in section.tables]),
        "environment": _environment(run),
        "command": command_of(run),
        "style": mark_safe(_style()),  # noqa: S308 - made of this package's own files
    }
    return Engine(dirs=[str(TEMPLATES)]).get_template("page.html").render(Context(context))


def command_of(run: Run) -> str:
    """What to type to measure the same again."""
    words = ["python", "manage.py", "bench_cache", *(result.experiment for result in run.experiments)]
    if run.effort != "normal":
        words.append(f"--{run.effort}")
    figures = [figure for result in run.experiments for figure in result.figures]
    strategies = list(dict.fromkeys(figure.strategy for figure in figures))
    measured = [name for name in strategies if name not in FLOOR_NAMES]
    if set(measured) != set(STRATEGIES):
        # A stored run has the name of a user's own strategy, and not where it is.
        references = [name if name in STRATEGIES else "MODULE:CLASS" for name in measured]
        words += [word for name in references if name != UNCACHED.name for word in ("--strategy", name)]
    words += ["--path", run.path, "--seed", str(run.seed)]
    if run.simulated_latency_seconds:
        words += ["--simulate-latency", f"{run.simulated_latency_seconds:g}"]
    return shlex.join(words)


def _section(section: Section, charts: Sequence[Chart]) -> Mapping[str, Any]:
    return {
        "experiment": section.experiment,
        "question": section.question,
        "method": [_with_code(paragraph) for paragraph in section.method],
        "figures": _figures(charts),
        "tables": [_table(table) for table in section.tables],
        "warnings": section.warnings,
        "verdicts": section.verdicts,
    }


def _figures(charts: Sequence[Chart]) -> list[Mapping[str, Any]]:
    return [
        {
            "name": chart.name,
            "title": chart.title,
            "caption": chart.caption,
            "alt": chart.alt,
            # As large as its words need, and no smaller than they can be read.
            "max_rem": chart.width_inches * REM_PER_INCH,
            "min_rem": chart.width_inches * REM_PER_INCH * SMALLEST_SCALE,
            "svg": mark_safe(inline_svg(chart)),  # noqa: S308 - matplotlib escapes what it writes
        }
        for chart in charts
    ]


def _table(table: Table) -> Mapping[str, Any]:
    return {
        "title": table.title,
        "legend": table.legend,
        "heads": [{"text": head, "is_word": n < table.words} for n, head in enumerate(table.heads)],
        "rows": [
            [
                {
                    "text": cell.text,
                    "mark": cell.mark,
                    "sign": SIGNS[cell.mark] if cell.text else "",
                    "is_word": n < table.words,
                }
                for n, cell in enumerate(row)
            ]
            for row in table.rows
        ],
    }


def _environment(run: Run) -> dict[str, str]:
    own = {
        "Path": run.path,
        "Products": f"{run.products:,}",
        "Effort": run.effort,
        "Seed": str(run.seed),
        "Processor": run.environment.cpu,
        "Cores": str(run.environment.cores),
        "System": run.environment.system,
    }
    if run.simulated_latency_seconds:
        own["Database slowed by"] = f"{run.simulated_latency_seconds:g} s a request"
    return own | dict(run.environment.versions)


def _with_code(paragraph: str) -> SafeString:
    """A docstring's double backticks become ``<code>``."""
    return mark_safe(re.sub(r"``(.+?)``", r"<code>\1</code>", escape(paragraph)))  # noqa: S308 - escaped


def _style() -> str:
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    return css.replace("/* light */", variables_css("light")).replace("/* dark */", variables_css("dark"))
