"""A run for programs: every sample in seconds, with the seed and what it was measured on.

JSON, schema version 1::

    {"schema_version": 1,
     "path": "/products/", "requests": 200, "warmup": 20, "seed": 0,
     "simulated_latency_seconds": null, "products": 10060,
     "environment": {"cpu": …, "cores": …, "system": …, "versions": {"python": …, …}},
     "latency": [{"strategy": …, "cold_seconds": […], "repeat_seconds": […], "cold_queries": …,
                  "repeat_queries": …, "summary_seconds": {"min": …, "p50": …, …},
                  "speedup": null or {"ratio": …, "low": …, "high": …}}],
     "invalidation": [{"strategy": …, "rounds": [{"save_seconds": …, "next_seconds": …,
                       "after_seconds": …, "changed": …, "next_fresh": …, "next_warm": …,
                       "after_warm": …}]}]}

CSV: a row a sample with ``strategy, measurement, index, seconds`` and, the same in every row, the
path, the number of products, the seed, CPU and versions.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from catalog.benchmarks.report import (
    introduction,
    invalidation_rows,
    latency_rows,
    speedups,
    verdicts,
    warnings,
)
from catalog.benchmarks.run import Run
from catalog.benchmarks.statistics import NANOSECONDS, summarise

SCHEMA_VERSION = 1


def to_json(run: Run) -> str:
    return json.dumps(_document(run), indent=2) + "\n"


def to_csv(run: Run) -> str:
    output = io.StringIO()
    constants = {
        "path": run.path,
        "products": run.products,
        "seed": run.seed,
        "cpu": run.environment.cpu,
        **{f"{name} version": value for name, value in run.environment.versions.items()},
    }
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(["strategy", "measurement", "index", "seconds", *constants])
    for strategy, measurement, index, nanoseconds in _samples(run):
        writer.writerow([strategy, measurement, index, nanoseconds / NANOSECONDS, *constants.values()])
    return output.getvalue()


def to_markdown(run: Run) -> str:
    parts = [introduction(run), _markdown_table(latency_rows(run)), _markdown_table(invalidation_rows(run))]
    parts += [f"*Warning: {line}*" for line in warnings(run)]
    parts += ["\n".join(f"- {line}" for line in verdicts(run))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _document(run: Run) -> dict[str, Any]:
    ratios = {name: asdict(speedup) for name, speedup in speedups(run).items()}
    return {
        "schema_version": SCHEMA_VERSION,
        "path": run.path,
        "requests": run.requests,
        "warmup": run.warmup,
        "seed": run.seed,
        "simulated_latency_seconds": run.simulated_latency_seconds,
        "products": run.products,
        "environment": asdict(run.environment),
        "latency": [
            {
                "strategy": result.strategy,
                "cold_seconds": _seconds(result.cold_ns),
                "repeat_seconds": _seconds(result.repeat_ns),
                "cold_queries": result.cold_queries,
                "repeat_queries": result.repeat_queries,
                "summary_seconds": asdict(summarise(result.repeat_ns)),
                "speedup": ratios.get(result.strategy),
            }
            for result in run.latency
        ],
        "invalidation": [
            {
                "strategy": result.strategy,
                "rounds": [
                    {
                        "save_seconds": one.save_ns / NANOSECONDS,
                        "next_seconds": one.next_ns / NANOSECONDS,
                        "after_seconds": one.after_ns / NANOSECONDS,
                        "changed": one.changed,
                        "next_fresh": one.next_fresh,
                        "next_warm": one.next_warm,
                        "after_warm": one.after_warm,
                    }
                    for one in result.rounds
                ],
            }
            for result in run.invalidation
        ],
    }


def _samples(run: Run) -> Iterator[tuple[str, str, int, int]]:
    for latency in run.latency:
        for measurement, samples in (("cold", latency.cold_ns), ("repeat", latency.repeat_ns)):
            for index, nanoseconds in enumerate(samples):
                yield latency.strategy, measurement, index, nanoseconds
    for invalidation in run.invalidation:
        for index, one in enumerate(invalidation.rounds):
            yield invalidation.strategy, "save", index, one.save_ns
            yield invalidation.strategy, "next after save", index, one.next_ns
            yield invalidation.strategy, "second after save", index, one.after_ns


def _seconds(samples_ns: tuple[int, ...]) -> list[float]:
    return [sample / NANOSECONDS for sample in samples_ns]


def _markdown_table(rows: list[list[str]]) -> str:
    heads, *cells = rows
    lines = [heads, ["---"] * len(heads), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
