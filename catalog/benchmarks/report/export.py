"""A run for programs: every figure and every sample, with the seed and what it was measured on.

JSON, schema version 2. Times are seconds, shares are parts of one::

    {"schema_version": 2,
     "path": "/products/", "seed": 0, "effort": "normal", "simulated_latency_seconds": 0.0,
     "products": 10060,
     "environment": {"cpu": …, "cores": …, "system": …, "versions": {"python": …, …}},
     "experiments": [
        {"experiment": "latency",
         "parameters": {"requests": 200, …},
         "figures": [{"strategy": "readcache", "case": "hit", "name": "p50", "value": 0.0005,
                      "unit": "s", "better": "lower", "low": …, "high": …, "series": "time"}, …],
         "series": [{"strategy": "readcache", "case": "hit", "name": "time", "unit": "s",
                     "values": […]}, …],
         "verdicts": […], "warnings": […]}, …],
     "changes": null or [{"experiment": "latency", "path": "readcache.hit.p50", "unit": "s",
                          "before": …, "now": …, "relative": 0.02, "is_significant": false,
                          "is_better": false}, …]}

``value`` is null where it could not be measured, ``low`` and ``high`` (a 95 % confidence interval)
and ``series`` (the samples that a figure was made of) where there are none. ``changes`` are since
the run that ``--compare`` names.

CSV: a row a figure with ``experiment, strategy, case, name, value, unit, low, high`` and, the same
in every row, the seed, the number of products, CPU and versions.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import Any, get_args

from catalog.benchmarks.figures.results import (
    Change,
    Environment,
    ExperimentResult,
    Figure,
    Run,
    Series,
    Unit,
)

SCHEMA_VERSION = 2
NUMBERS = (int, float, type(None))
CSV_FIELDS = ("strategy", "case", "name", "value", "unit", "low", "high")


def to_json(run: Run) -> str:
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(run)}, indent=2) + "\n"


def from_json(text: str) -> Run:
    """Raises ``ValueError`` for what is no run of this schema version."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.pop("schema_version", None) != SCHEMA_VERSION:
        raise ValueError(f"it is not a run of schema version {SCHEMA_VERSION}")
    try:
        experiments = tuple(_experiment(each) for each in document.pop("experiments"))
        environment = Environment(**document.pop("environment"))
        changes = document.pop("changes", None)
        if document["seed"] < 0:
            raise ValueError(f"it is not a whole run: its seed is {document['seed']}")
        return Run(
            **document,
            environment=environment,
            experiments=experiments,
            changes=None if changes is None else tuple(Change(**each) for each in changes),
        )
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
    return ExperimentResult(
        experiment=fields["experiment"],
        parameters=fields["parameters"],
        figures=tuple(_figure(each) for each in fields["figures"]),
        series=tuple(Series(**{**each, "values": tuple(each["values"])}) for each in fields["series"]),
        verdicts=tuple(fields["verdicts"]),
        warnings=tuple(fields["warnings"]),
    )


def _figure(fields: dict[str, Any]) -> Figure:
    figure = Figure(**fields)
    numbers = (figure.value, figure.low, figure.high)
    if figure.unit not in get_args(Unit) or not all(isinstance(each, NUMBERS) for each in numbers):
        raise TypeError(f"{figure.path} is {figure.value!r} {figure.unit}")
    return figure
