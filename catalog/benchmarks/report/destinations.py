"""The file and the folder that results are written to. Both are always whole, even after a kill.

A draft beside the target is written first, and then takes its place.
"""

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
SUFFIXES = (".html", ".json", ".svg")


@contextmanager
def output_file(path: Path) -> Iterator[Callable[[str], None]]:
    """Yields a function that replaces the content of the file by a text. It may be called again.

    A path that cannot be written is noticed at once, before any work. A device or a pipe, such as
    /dev/stdout, gets only the last text, at the end. Raises ``InvalidOption``.
    """
    if path.exists() and not path.is_file():
        yield from _written_at_the_end(path)
        return
    with _draft_of(path) as draft:

        def write(text: str) -> None:
            with _refusing("--output", "file", path):
                draft.write_text(text, encoding="utf-8", newline="")
                draft.replace(path)

        with _refusing("--output", "file", path):
            draft.touch()
        yield write


@contextmanager
def report_folder(path: Path) -> Iterator[Callable[[Run], None]]:
    """Yields a function that replaces the folder by the report of a run. It may be called again.

    The report is a page, its charts as files, and the run as JSON. A path that cannot be written is
    noticed at once, before any work. Replaces an earlier report, and refuses to replace anything else.
    Raises ``InvalidOption``.
    """
    path = path.absolute()
    _require_replaceable(path)
    # Drawing takes seconds, and the charts of an experiment stay the same while others go on.
    drawn: dict[str, list[DrawnChart]] = {}
    with _draft_of(path) as draft:

        def write(run: Run) -> None:
            _fill(draft, run, drawn, path)
            _require_replaceable(path)
            _replace(draft, path)

        with _refusing("--report", "folder", path):
            draft.mkdir(exist_ok=True)
        yield write


def _written_at_the_end(path: Path) -> Iterator[Callable[[str], None]]:
    texts = [""]
    # Also fails for a folder.
    with _refusing("--output", "file", path):
        file = path.open("w", encoding="utf-8", newline="")
    try:
        yield texts.append
    finally:
        with _refusing("--output", "file", path), file:
            file.write(texts[-1])


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    """The draft is made inside and removed at the end, because an interrupt can come at any moment."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
    finally:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        draft.unlink(missing_ok=True)


@contextmanager
def _refusing(option: str, kind: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidOption(
            f"{option} must name a {kind} that can be written, got {path}: {error.strerror}. "
            f"Name another {kind}, in a folder that exists."
        ) from None


def _fill(draft: Path, run: Run, drawn: dict[str, list[DrawnChart]], path: Path) -> None:
    # matplotlib takes most of a second to import, which no other form of a report needs.
    from catalog.benchmarks.report.charts import draw_charts
    from catalog.benchmarks.report.page import render_page

    charts = draw_charts(run, drawn)
    page = render_page(run, charts)
    with _refusing("--report", "folder", path):
        draft.mkdir(exist_ok=True)
        (draft / "run.json").write_text(to_json(run), encoding="utf-8")
        (draft / PAGE).write_text(page, encoding="utf-8")
        for chart in (chart for of_one in charts.values() for chart in of_one):
            chart.write_files(draft)


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
