"""Reads results that were stored as JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.report.export import from_json
from catalog.options import InvalidOption

T = TypeVar("T")
BENCH_CACHE = "python manage.py bench_cache --format json"


def read_run(path: Path, *, option: str) -> Run:
    """Raises ``InvalidOption``, which names the option that the path was given with."""
    return read_stored(path, from_json, option=option, made_by=BENCH_CACHE)


def read_stored(path: Path, parse: Callable[[str], T], *, option: str, made_by: str) -> T:
    """``parse`` raises ``ValueError`` for what it does not understand. Raises ``InvalidOption``."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:
        reason = str(error)
    raise InvalidOption(
        f"{option} must name results stored as JSON, got {path}: {reason}. Store some with: {made_by} > FILE"
    )
