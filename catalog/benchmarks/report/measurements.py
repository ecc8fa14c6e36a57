"""docs/measurements.md with its pictures, from a stored run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.template import Context, Engine

from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.report import seeding
from catalog.benchmarks.report.charts import Chart, charts_of, overview_charts
from catalog.benchmarks.report.contents import Section, introduction, sections
from catalog.benchmarks.report.export import to_json
from catalog.benchmarks.report.folder import write_charts
from catalog.benchmarks.report.markdown import LEGEND, render_table
from catalog.benchmarks.report.page import TEMPLATES, command_of
from catalog.benchmarks.report.targets import marks
from catalog.benchmarks.seeding import SeedingComparison

PICTURES = "pictures"
# The card of all experiments, which README shows.
README_PICTURE = "bench_cache"


def write_measurements(run: Run, comparison: SeedingComparison, docs: Path) -> list[Path]:
    """Write into ``docs``; returns what was written.

    The samples of the run are left out of ``measurements.json``: they are megabytes, and another
    run gives others.
    """
    pictures = docs / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    written = write_charts(run, pictures, forms=["svg"])
    for chart in overview_charts(run):
        for suffix in ("", "-dark"):
            picture = pictures / f"{chart.name}{suffix}.svg"
            written.remove(picture)
            written.append(picture.replace(docs / f"{README_PICTURE}{suffix}.svg"))
    for name, text in (
        ("measurements.md", render_measurements(run, comparison)),
        ("measurements.json", to_json(without_samples(run))),
    ):
        (docs / name).write_text(text, encoding="utf-8")
        written.append(docs / name)
    return written


def without_samples(run: Run) -> Run:
    return replace(run, experiments=tuple(replace(result, series=()) for result in run.experiments))


def render_measurements(run: Run, comparison: SeedingComparison) -> str:
    shown, charts = sections(run), charts_of(run)
    what, where = introduction(run)
    context = {
        "what": what,
        "where": where,
        "cpu": run.environment.cpu,
        "command": command_of(run),
        "marks": marks(run),
        "legend": LEGEND,
        "overview": [_picture(chart, README_PICTURE) for chart in overview_charts(run)],
        "sections": [_section(section, charts[section.experiment]) for section in shown],
        "seeding": seeding.rows(comparison),
        "seeding_verdict": seeding.verdict(comparison),
    }
    template = Engine(dirs=[str(TEMPLATES)], autoescape=False).get_template("measurements.md")
    lines = (line.rstrip() for line in template.render(Context(context)).splitlines())
    return _without_runs_of_blanks("\n".join(lines)) + "\n"


def _section(section: Section, charts: list[Chart]) -> Mapping[str, Any]:
    return {
        "experiment": section.experiment,
        "question": section.question,
        "pictures": [_picture(chart, f"{PICTURES}/{chart.name}") for chart in charts],
        "tables": [
            {"title": table.title, "text": render_table(table), "legend": table.legend}
            for table in section.tables
        ],
        "warnings": section.warnings,
        "verdicts": section.verdicts,
    }


def _picture(chart: Chart, path: str) -> Mapping[str, str]:
    """``path`` is relative to the document, without theme and ending."""
    return {"path": path, "alt": chart.alt.replace('"', "'"), "title": chart.title, "caption": chart.caption}


def _without_runs_of_blanks(text: str) -> str:
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip()
