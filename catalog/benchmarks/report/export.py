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
from dataclasses import asdict
from typing import Any, get_args

from catalog.benchmarks.figures.results import (
    Cell,
    Change,
    Environment,
    ExperimentResult,
    Figure,
    MeasuredStrategy,
    Run,
    Series,
    Table,
    Unit,
)

SCHEMA_VERSION = 3
NUMBERS = (int, float, type(None))
CSV_FIELDS = ("strategy", "case", "name", "value", "unit", "low", "high")


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
        changes = document.pop("changes", None)
        parts: dict[str, Any] = {
            "experiments": tuple(map(_experiment, document.pop("experiments"))),
            "environment": Environment(**document.pop("environment")),
            "strategies": tuple(MeasuredStrategy(**each) for each in document.pop("strategies")),
            "changes": None if changes is None else tuple(Change(**each) for each in changes),
        }
        if document["seed"] < 0:
            raise ValueError(f"it is not a whole run: its seed is {document['seed']}")
        return Run(**document, **parts)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is not a whole run: {error}") from None


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


def _experiment(fields: dict[str, Any]) -> ExperimentResult:
    sequences = {name: tuple(fields[name]) for name in ("method", "verdicts", "warnings")}
    return ExperimentResult(
        **{
            **fields,
            **sequences,
            "figures": tuple(map(_figure, fields["figures"])),
            "series": tuple(Series(**{**each, "values": tuple(each["values"])}) for each in fields["series"]),
            "tables": tuple(map(_table, fields["tables"])),
        }
    )


def _figure(fields: dict[str, Any]) -> Figure:
    figure = Figure(**fields)
    numbers = (figure.value, figure.low, figure.high)
    if figure.unit not in get_args(Unit) or not all(isinstance(each, NUMBERS) for each in numbers):
        raise TypeError(f"{figure.path} is {figure.value!r} {figure.unit}")
    return figure


def _table(fields: dict[str, Any]) -> Table:
    rows = tuple(tuple(Cell(*cell) for cell in row) for row in fields["rows"])
    return Table(**{**fields, "heads": tuple(fields["heads"]), "rows": rows})
