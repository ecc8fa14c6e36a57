"""Writes docs/measurements.md and its pictures from a stored run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.template import Context, Engine

from catalog.benchmarks.figures.results import ExperimentResult, Run
from catalog.benchmarks.report.charts import OVERVIEW, DrawnChart, draw_charts
from catalog.benchmarks.report.charts.drawing import Chart
from catalog.benchmarks.report.contents import introduction, results_of
from catalog.benchmarks.report.export import to_json
from catalog.benchmarks.report.markdown import LEGEND, render_table
from catalog.benchmarks.report.page import command_of
from tools.measurements.seeding import SeedingComparison
from tools.measurements.targets import targets

Charts = Mapping[str, Sequence[DrawnChart]]

TEMPLATES = Path(__file__).parent / "templates"
PICTURES = "pictures"
# The name under which README shows the overview.
README_PICTURE = "bench_cache"


def write_measurements(run: Run, comparison: SeedingComparison, docs: Path) -> list[Path]:
    """Writes into ``docs`` and returns the paths of the files.

    ``measurements.json`` has no samples: they are megabytes, and every run has others.
    """
    (docs / PICTURES).mkdir(parents=True, exist_ok=True)
    charts = draw_charts(run)
    written = []
    for experiment, of_one in charts.items():
        for chart in of_one:
            if experiment == OVERVIEW:
                written += chart.write_files(docs, name=README_PICTURE)
            else:
                written += chart.write_files(docs / PICTURES)
    for name, text in (
        ("measurements.md", render_measurements(run, comparison, charts)),
        ("measurements.json", to_json(without_samples(run))),
    ):
        (docs / name).write_text(text, encoding="utf-8")
        written.append(docs / name)
    return written


def without_samples(run: Run) -> Run:
    return replace(run, experiments=tuple(replace(result, series=()) for result in run.experiments))


def render_measurements(run: Run, comparison: SeedingComparison, charts: Charts) -> str:
    what, where = introduction(run)
    context = {
        "what": what,
        "where": where,
        "cpu": run.environment.cpu,
        "command": command_of(run),
        "strategies": run.strategies,
        "targets": targets(run),
        "legend": LEGEND,
        "overview": [_picture(drawn.chart, README_PICTURE) for drawn in charts[OVERVIEW]],
        "sections": [_section(result, charts.get(result.experiment, ())) for result in results_of(run)],
        "seeding": comparison.rates(),
        "seeding_verdict": comparison.verdict(),
    }
    template = Engine(dirs=[str(TEMPLATES)], autoescape=False).get_template("measurements.md")
    lines = (line.rstrip() for line in template.render(Context(context)).splitlines())
    return _with_single_blank_lines("\n".join(lines)) + "\n"


def _section(result: ExperimentResult, charts: Sequence[DrawnChart]) -> Mapping[str, Any]:
    return {
        **vars(result),
        "pictures": [_picture(drawn.chart, f"{PICTURES}/{drawn.chart.name}") for drawn in charts],
        "tables": [
            {"title": table.title, "text": render_table(table), "legend": table.legend}
            for table in result.tables
        ],
    }


def _picture(chart: Chart, path: str) -> Mapping[str, str]:
    """``path`` is relative to the document, without theme and ending."""
    return {"path": path, "alt": chart.alt.replace('"', "'"), "title": chart.title, "caption": chart.caption}


def _with_single_blank_lines(text: str) -> str:
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip()
