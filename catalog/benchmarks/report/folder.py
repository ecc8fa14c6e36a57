"""A folder with a report: a page, its charts as files, and the run as JSON."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.report.export import to_json
from catalog.options import InvalidOption

if TYPE_CHECKING:
    from catalog.benchmarks.report.charts import DrawnChart

PAGE = "index.html"
# A line near the beginning of each page, by which a folder is recognised as an earlier report.
SIGNATURE = '<meta name="generator" content="bench_cache --report">'
SIGNATURE_BYTES = 1000
# Earlier versions wrote PNG, too.
SUFFIXES = (".html", ".json", ".svg", ".png")


@contextmanager
def report_folder(path: Path) -> Iterator[Callable[[Run], None]]:
    """Yields a function that replaces the folder by the report of a run. It may be called again.

    A path that cannot be written is noticed at once, before any work. Replaces an earlier report, and
    refuses to replace anything else. Raises ``InvalidOption``.
    """
    path = path.absolute()
    _require_replaceable(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    # Drawing takes seconds, and the charts of an experiment stay the same while others go on.
    drawn: dict[str, list[DrawnChart]] = {}

    def write(run: Run) -> None:
        _make(draft, path)
        _fill(draft, run, drawn)
        _require_replaceable(path)
        _replace(draft, path)

    # The draft is made within the block that removes it, because an interrupt can come at any moment.
    try:
        _make(draft, path)
        yield write
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(folder: Path, run: Run, drawn: dict[str, list[DrawnChart]]) -> None:
    # matplotlib takes most of a second to import, which no other form of a report needs.
    from catalog.benchmarks.report.charts import draw_charts
    from catalog.benchmarks.report.page import render_page

    charts = draw_charts(run, drawn)
    try:
        (folder / "run.json").write_text(to_json(run), encoding="utf-8")
        (folder / PAGE).write_text(render_page(run, charts), encoding="utf-8")
        for chart in (chart for of_one in charts.values() for chart in of_one):
            chart.write_files(folder)
    except OSError as error:
        raise InvalidOption(
            f"--report must name a folder that can be written: {error.strerror}. Name another folder."
        ) from error


def _require_replaceable(path: Path) -> None:
    if path.is_dir() and (not any(path.iterdir()) or _is_report(path)):
        return
    if path.exists() or path.is_symlink():
        raise InvalidOption(
            f"--report must name a folder that is new, empty or an earlier report, got {path}, "
            "which holds something else. Name another folder."
        )


def _is_report(path: Path) -> bool:
    """Whether the page is one of ours, and every other file one that a report can have."""
    page = path / PAGE
    if not page.is_file():
        return False
    beginning = page.read_text(encoding="utf-8", errors="replace")[:SIGNATURE_BYTES]
    return SIGNATURE in beginning and all(
        each.is_file() and each.suffix in SUFFIXES for each in path.iterdir()
    )


def _make(draft: Path, path: Path) -> None:
    try:
        draft.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidOption(
            f"--report must name a folder that can be written, got {path}: {error.strerror}. "
            "Name one in a folder that exists."
        ) from None


def _replace(draft: Path, path: Path) -> None:
    """One step cannot replace a folder by another. The old one is kept until the new one is in place."""
    old = path.with_name(f"{draft.name}.old")
    if path.exists():
        path.rename(old)
    try:
        draft.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
