"""A report in a folder of its own, which is written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.benchmarks.figures.results import Run
from catalog.options import InvalidOption

if TYPE_CHECKING:
    from catalog.benchmarks.report.charts import Form

PAGE = "index.html"
# What the first lines of a page of ours say, by which a folder is known as an earlier report.
SIGNATURE = '<meta name="generator" content="bench_cache --report">'
SIGNATURE_BYTES = 1000


@contextmanager
def report_folder(path: Path) -> Iterator[Path]:
    """An empty folder that becomes ``path`` when the block ends well, and goes away when it does not.

    Made at once, so that a path that cannot be written is known before the work and not after it.
    An earlier report at ``path`` is replaced; anything else is left alone. Raises ``InvalidOption``.
    """
    path = path.absolute()
    _require_replaceable(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    # The draft is made within the block that removes it: an interrupt may come at any moment.
    try:
        _make(draft, path)
        yield draft
        _require_replaceable(path)
        _replace(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_report(run: Run, folder: Path) -> None:
    """The page, and beside it each chart for light and for dark as SVG and PNG.

    Raises ``InvalidOption`` where there is no room.
    """
    # matplotlib takes most of a second to import, which no other form of a report needs.
    from catalog.benchmarks.report.page import render_page

    page = render_page(run)
    try:
        (folder / PAGE).write_text(page, encoding="utf-8")
        write_charts(run, folder, forms=("svg", "png"))
    except OSError as error:
        raise InvalidOption(
            f"--report must be a folder that can be written: {error.strerror}. Name another."
        ) from error


def write_charts(run: Run, folder: Path, *, forms: Sequence[Form]) -> list[Path]:
    """``latency.svg``, ``latency-dark.svg`` …; returns what was written."""
    from catalog.benchmarks.report.charts import THEMES, charts_of, overview_charts, render

    charts = [*overview_charts(run), *(chart for of_one in charts_of(run).values() for chart in of_one)]
    written = []
    for chart in charts:
        for theme_name, theme in THEMES.items():
            suffix = "" if theme_name == "light" else f"-{theme_name}"
            for form, content in zip(forms, render(chart, theme, forms), strict=True):
                written.append(folder / f"{chart.name}{suffix}.{form}")
                written[-1].write_bytes(content)
    return written


def _require_replaceable(path: Path) -> None:
    if path.is_dir() and (not any(path.iterdir()) or _is_report(path)):
        return
    if path.exists() or path.is_symlink():
        raise InvalidOption(
            f"--report must name a folder that is new, empty or an earlier report, got {path}, "
            "which holds something else. Name another folder."
        )


def _is_report(path: Path) -> bool:
    """Whether every file in it is one that a report has."""
    page = path / PAGE
    if (
        not page.is_file()
        or SIGNATURE not in page.read_text(encoding="utf-8", errors="replace")[:SIGNATURE_BYTES]
    ):
        return False
    return all(
        each.is_file() and (each == page or each.suffix in (".svg", ".png")) for each in path.iterdir()
    )


def _make(draft: Path, path: Path) -> None:
    try:
        draft.mkdir()
    except OSError as error:
        raise InvalidOption(
            f"--report must be a folder that can be written, got {path}: {error.strerror}. "
            "Name one in a folder that exists."
        ) from None


def _replace(draft: Path, path: Path) -> None:
    """A folder cannot be replaced by another in one step; the old one is kept until the new is there."""
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
