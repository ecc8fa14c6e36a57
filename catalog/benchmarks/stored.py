"""A run that was stored as JSON."""

from __future__ import annotations

from pathlib import Path

from catalog.benchmarks.export import from_json
from catalog.benchmarks.results import Run
from catalog.options import InvalidOption


def read_run(path: Path, *, option: str) -> Run:
    """Raises ``InvalidOption``, which names the option that the path was given with."""
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:
        reason = str(error)
    raise InvalidOption(
        f"{option} must be a run stored with --format json, got {path}: {reason}. "
        "Make one with: python manage.py bench_cache --format json --output FILE"
    )
