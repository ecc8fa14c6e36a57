"""A run as one web page that loads nothing else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import ExperimentResult, Run
from catalog.benchmarks.report.charts import OVERVIEW, DrawnChart
from catalog.benchmarks.report.charts.drawing import DARK, LIGHT, variables_css
from catalog.benchmarks.report.contents import introduction, legend_of_signs, results_of

REM_PER_INCH, SMALLEST_SCALE = 6.25, 0.7
TEMPLATES = Path(__file__).parent / "templates"


def render_page(run: Run, charts: Mapping[str, Sequence[DrawnChart]]) -> str:
    """``charts`` maps the name of each experiment, and of the overview, to its charts."""
    results = results_of(run)
    what, where = introduction(run)
    context = {
        "what": what,
        "where": where,
        "strategies": [(each.name, _with_code(each.description)) for each in run.strategies],
        "overview": _figures(charts[OVERVIEW]),
        "sections": [_section(result, charts.get(result.experiment, ())) for result in results],
        "legend": legend_of_signs(results),
        "environment": {"effort": run.effort, "seed": run.seed, **run.conditions},
        "command": command_of(run),
        "style": mark_safe(_style()),  # noqa: S308 - made of this package's own files
    }
    return Engine(dirs=[str(TEMPLATES)]).get_template("page.html").render(Context(context))


def command_of(run: Run) -> str:
    """The command that measures the same again."""
    words = ["python", "manage.py", "bench_cache", *(result.experiment for result in run.experiments)]
    if run.effort != "normal":
        words.append(f"--{run.effort}")
    references = [each.reference for each in run.strategies if each.name not in names.FLOORS]
    if set(references) != set(names.STRATEGIES):
        selected = [reference for reference in references if reference != names.UNCACHED]
        words += [word for reference in selected for word in ("--strategy", reference)]
    words += ["--path", run.path, "--seed", str(run.seed)]
    if run.simulated_latency_seconds:
        words += ["--simulate-latency", f"{run.simulated_latency_seconds:g}"]
    return shlex.join(words)


def _section(result: ExperimentResult, charts: Sequence[DrawnChart]) -> Mapping[str, Any]:
    return {
        **vars(result),
        "method": [_with_code(paragraph) for paragraph in result.method],
        "figures": _figures(charts),
    }


def _figures(charts: Sequence[DrawnChart]) -> list[Mapping[str, Any]]:
    return [
        {
            **vars(each.chart),
            # As wide as its words need, and never so narrow that they cannot be read.
            "max_rem": each.chart.width_inches * REM_PER_INCH,
            "min_rem": each.chart.width_inches * REM_PER_INCH * SMALLEST_SCALE,
            "svg": mark_safe(each.inline()),  # noqa: S308 - matplotlib escapes what it writes
        }
        for each in charts
    ]


def _with_code(paragraph: str) -> SafeString:
    """Turns a docstring's double backticks into ``<code>``."""
    return mark_safe(re.sub(r"``(.+?)``", r"<code>\1</code>", escape(paragraph)))  # noqa: S308 - escaped


def _style() -> str:
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    return css.replace("/* light */", variables_css(LIGHT)).replace("/* dark */", variables_css(DARK))
