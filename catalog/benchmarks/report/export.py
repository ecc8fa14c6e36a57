"""A run for programs: every figure and every sample, with the seed and the machine.

JSON, schema version 3. Times are in seconds, shares are parts of one::

    {"schema_version": 3,
     "path": "/products/", "seed": 0, "effort": "normal", "simulated_latency_seconds": 0.0,
     "products": 10060,
     "environment": {"cpu": …, "cores": …, "system": …, "versions": {"python": …, …}},
     "strategies": [{"name": "textbook", "description": …, "reference": "textbook"}, …],
     "experiments": [
        {"experiment": "latency", "question": …, "method": [a paragraph, …],
         "parameters": {"requests": 200, …},
         "figures": [{"strategy": "readcache", "case": "hit", "name": "p50", "value": 0.0005,
                      "unit": "s", "better": "lower", "low": …, "high": …, "series": "time"}, …],
         "series": [{"strategy": "readcache", "case": "hit", "name": "time", "unit": "s",
                     "values": […]}, …],
         "tables": [{"title": …, "heads": […], "rows": [[[text, rating], …], …], "words": 1,
                     "legend": …}, …],
         "verdicts": […], "warnings": […]}, …],
     "changes": null or [{"experiment": "latency", "path": "readcache.hit.p50", "unit": "s",
                          "before": …, "now": …, "relative": 0.02, "is_significant": false,
                          "is_better": false}, …]}

``value`` is null if it could not be measured. ``low`` and ``high`` (a 95 % confidence interval) and
``series`` (the samples that a figure was computed from) are null if there are none. A rating is empty,
"best" or "bad". ``changes`` lists what changed since the run that ``--compare`` names.

CSV: one row for each figure with ``experiment, strategy, case, name, value, unit, low, high`` and, the
same in every row, the seed, the number of products, the CPU and the versions.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from catalog.benchmarks.figures.results import Cell, Run
from catalog.options import InvalidOption

SCHEMA_VERSION = 3
CSV_FIELDS = ("strategy", "case", "name", "value", "unit", "low", "high")
BENCH_CACHE = "python manage.py bench_cache --format json"

T = TypeVar("T")


def to_json(run: Run) -> str:
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(run)}, indent=1) + "\n"


def from_json(text: str) -> Run:
    """Raises ``ValueError`` for anything but a whole run of this schema version."""
    document = json.loads(text)
    version = document.pop("schema_version", None) if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        found = f"has schema version {version}" if version else "has no schema version"
        raise ValueError(f"it {found}, but only version {SCHEMA_VERSION} can be read")
    try:
        run: Run = _rebuilt(Run, document)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is not a whole run: {error}") from None
    if run.seed < 0:
        raise ValueError(f"it is not a whole run: its seed is {run.seed}")
    return run


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


def to_csv(run: Run) -> str:
    output = io.StringIO()
    constants = {
        "seed": run.seed,
        "products": run.products,
        "cpu": run.environment.cpu,
        **{f"{name} version": value for name, value in run.environment.versions.items()},
    }
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(["experiment", *CSV_FIELDS, *constants])
    for result in run.experiments:
        for figure in result.figures:
            fields = (getattr(figure, name) for name in CSV_FIELDS)
            writer.writerow([result.experiment, *fields, *constants.values()])
    return output.getvalue()


def _rebuilt(kind: Any, value: Any) -> Any:
    """The object of this type that was stored as ``value``. Raises ``TypeError`` and ``KeyError``."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints_of(kind)
        fields: dict[str, Any] = {name: _rebuilt(hints[name], each) for name, each in value.items()}
        return kind(**fields)
    if kind is Cell:
        return Cell(*value)
    if origin is tuple:
        return tuple(_rebuilt(arguments[0], each) for each in value)
    if origin is UnionType:
        # An optional value.
        return None if value is None else _rebuilt(arguments[0], value)
    # JSON may store a float without a fraction.
    types = (float, int) if kind is float else origin or kind
    if not (value in arguments if origin is Literal else isinstance(value, types)):
        raise TypeError(f"{value!r} is not of the type {kind}")
    return value


_hints_of = cache(get_type_hints)
