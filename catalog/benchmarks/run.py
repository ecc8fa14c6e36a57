"""One run of the benchmark: the chosen strategies, what was measured, and on what."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from django.db import connection

from catalog.benchmarks.client import Requester
from catalog.benchmarks.invalidation import InvalidationResult, measure_invalidation
from catalog.benchmarks.isolation import isolated_cache
from catalog.benchmarks.latency import LatencyResult, measure_latency
from catalog.benchmarks.strategies import select_strategies
from catalog.cached_pages import redis_client
from catalog.caching.writes import rotate
from catalog.models import Product
from catalog.options import InvalidOption, require_at_least

MAX_LATENCY_SECONDS = 60
PACKAGES = ("django", "djangorestframework", "django-filter", "django-redis", "redis", "hiredis")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """On what a run was made; ``versions`` maps a package, server or language to its version."""

    cpu: str
    cores: int
    system: str
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Run:
    path: str
    requests: int
    warmup: int
    seed: int
    simulated_latency_seconds: float | None
    products: int
    environment: Environment
    latency: list[LatencyResult]
    invalidation: list[InvalidationResult]


def run_benchmark(
    *,
    path: str = "/products/",
    requests: int = 200,
    warmup: int = 20,
    seed: int = 0,
    strategies: Sequence[str] = (),
    simulated_latency_seconds: float | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Run:
    """Measure, and leave catalogue and cache as they were found, also after Ctrl-C.

    ``on_progress`` is called ``warmup + requests`` times with 1. Raises ``InvalidOption``, and
    ``BenchmarkError`` where an answer is not what it should be.
    """
    require_at_least("--requests", requests, 1)
    require_at_least("--warmup", warmup, 0)
    if simulated_latency_seconds is not None:
        require_at_least("--simulate-latency", simulated_latency_seconds, 0)
        if simulated_latency_seconds > MAX_LATENCY_SECONDS:
            raise InvalidOption(
                f"--simulate-latency must be at most {MAX_LATENCY_SECONDS}, got {simulated_latency_seconds}."
            )
    chosen = select_strategies(strategies)
    requester = Requester(path)
    with isolated_cache(simulated_latency_seconds=simulated_latency_seconds) as empty_cache:
        latency = measure_latency(
            requester,
            chosen,
            requests=requests,
            warmup=warmup,
            seed=seed,
            empty_cache=empty_cache,
            on_progress=on_progress,
        )
        invalidation = measure_invalidation(requester, chosen)
    # What was saved was saved under the benchmark's own tokens. A server that answered meanwhile
    # may have kept it under its own.
    rotate(Product)
    return Run(
        path=path,
        requests=requests,
        warmup=warmup,
        seed=seed,
        simulated_latency_seconds=simulated_latency_seconds,
        products=Product.objects.count(),
        environment=describe_environment(),
        latency=latency,
        invalidation=invalidation,
    )


def describe_environment() -> Environment:
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    versions["redis server"] = str(redis_client().info("server")["redis_version"])
    connection.ensure_connection()
    versions[connection.vendor] = ".".join(str(part) for part in connection.get_database_version())
    return Environment(
        cpu=_cpu_model(), cores=os.cpu_count() or 1, system=platform.system(), versions=versions
    )


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
