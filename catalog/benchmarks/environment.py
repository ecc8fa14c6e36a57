"""On what a run was made."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from django.db import connection

from catalog.benchmarks.results import Environment
from catalog.cached_pages import redis_client

PACKAGES = ("django", "djangorestframework", "django-filter", "django-redis", "redis", "hiredis")
CPUINFO = Path("/proc/cpuinfo")
GOVERNORS = "devices/system/cpu/cpu*/cpufreq/scaling_governor"
BUSY_LOAD_SHARE = 0.5


def describe_environment() -> Environment:
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    versions["redis server"] = str(redis_client().info("server")["redis_version"])
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
    governors = {path.read_text().strip() for path in Path("/sys").glob(GOVERNORS)}
    if governors - {"performance"}:
        names = ", ".join(sorted(governors))
        found.append(
            f"The processor changes its speed ({names}). For steadier times: "
            "cpupower frequency-set --governor performance"
        )
    return found


def _cpu_model() -> str:
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
