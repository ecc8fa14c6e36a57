"""The machine and the versions of a run, and reasons to doubt its times."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.db import connection
from redis.exceptions import NoPermissionError

from catalog.benchmarks.figures.results import Environment
from catalog.benchmarks.figures.units import say
from catalog.cached_pages import redis_client
from readcache.wording import counted

PACKAGES = ("django", "djangorestframework", "django-filter", "django-redis", "redis", "hiredis")
CPUINFO = Path("/proc/cpuinfo")
GOVERNORS = "devices/system/cpu/cpu*/cpufreq/scaling_governor"
BUSY_LOAD_SHARE = 0.5
FULL_SHARE = 0.9


def describe_environment() -> Environment:
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    versions["redis server"] = str(_redis_info("server").get("redis_version", "unknown"))
    connection.ensure_connection()
    versions[connection.vendor] = ".".join(str(part) for part in connection.get_database_version())
    return Environment(
        cpu=_cpu_model(), cores=os.cpu_count() or 1, system=platform.system(), versions=versions
    )


def disturbances() -> tuple[str, ...]:
    """Reasons, before a run, to doubt its times, each with advice."""
    return (*_load_disturbances(), *_redis_disturbances(), *_processor_disturbances())


def _load_disturbances() -> Iterator[str]:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > BUSY_LOAD_SHARE * cores:
        yield (
            f"This machine is busy: its load is {load:.1f} on {counted(cores, 'core')}. Close other programs."
        )


def _redis_disturbances() -> Iterator[str]:
    memory = _redis_info("memory")
    used, limit = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
    if limit and used > FULL_SHARE * limit:
        yield (
            f"Redis is full: it uses {say(used, 'bytes')} of {say(limit, 'bytes')}, and will evict pages. "
            "Raise its maxmemory."
        )


def _processor_disturbances() -> Iterator[str]:
    governors = {path.read_text().strip() for path in Path("/sys").glob(GOVERNORS)}
    if governors - {"performance"}:
        yield (
            f"The processor changes its speed ({', '.join(sorted(governors))}). For steadier times: "
            "cpupower frequency-set --governor performance"
        )


def _redis_info(section: str) -> dict[str, Any]:
    """Empty if the Redis user has no permission for INFO."""
    with contextlib.suppress(NoPermissionError):
        return dict(redis_client().info(section))
    return {}


def _cpu_model() -> str:
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
