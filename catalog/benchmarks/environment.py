"""On what a run was made."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.db import connection
from redis.exceptions import NoPermissionError

from catalog.benchmarks.figures.results import Environment
from catalog.benchmarks.figures.units import say
from catalog.cached_pages import redis_client

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


def disturbances() -> list[str]:
    """What of this machine, before a run, makes times doubtful, with what to do about it."""
    found = []
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > BUSY_LOAD_SHARE * cores:
        found.append(
            f"This machine is busy already: a load of {load:.1f} on {cores} cores. Close other programs."
        )
    memory = _redis_info("memory")
    used, limit = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
    if limit and used > FULL_SHARE * limit:
        found.append(
            f"Redis is full: {say(used, 'bytes')} of {say(limit, 'bytes')}. What it does not keep is no hit. "
            "Raise its maxmemory."
        )
    governors = {path.read_text().strip() for path in Path("/sys").glob(GOVERNORS)}
    if governors - {"performance"}:
        names = ", ".join(sorted(governors))
        found.append(
            f"The processor changes its speed ({names}). For steadier times: "
            "cpupower frequency-set --governor performance"
        )
    return found


def _redis_info(section: str) -> dict[str, Any]:
    """Empty for a user of Redis who may not ask."""
    with contextlib.suppress(NoPermissionError):
        return dict(redis_client().info(section))
    return {}


def _cpu_model() -> str:
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
