"""One run of the benchmark: the chosen experiments, in a corner of its own of Redis."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from redis.exceptions import RedisError

from catalog.benchmarks.clients.in_process import require_path
from catalog.benchmarks.environment import describe_environment, disturbances
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.selection import EXPERIMENTS, select_experiments
from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.options import Options
from catalog.benchmarks.sandbox.isolation import empty_cache, isolated_cache, require_permissions
from catalog.benchmarks.sandbox.rows import LABEL
from catalog.benchmarks.sandbox.run_lock import new_suffix
from catalog.benchmarks.strategies.registry import UNCACHED, only_invalidation_of
from catalog.models import Category, Product, Tag
from catalog.options import InvalidOption, require_at_least
from readcache.invalidation.watch import rotate

MAX_LATENCY_SECONDS = 60
LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1")


def run_benchmark(
    options: Options,
    *,
    experiments: Sequence[str] = (),
    simulated_latency_seconds: float | None = None,
    may_write_anywhere: bool = False,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> Run:
    """Measure, and leave catalogue and cache as they were found, also after Ctrl-C.

    Raises ``InvalidOption``, and ``BenchmarkError`` where an answer is not what it should be. With
    ``on_failure``, an experiment that fails after others is told to it by its name, and left out.
    """
    require_measurable(
        options,
        experiments=experiments,
        simulated_latency_seconds=simulated_latency_seconds,
        may_write_anywhere=may_write_anywhere,
    )
    chosen = select_experiments(experiments)
    # What cannot even be read is no experiment's failure.
    products = Product.objects.count()
    _require_writable(writing_experiments(chosen))
    environment = describe_environment()
    doubts = disturbances()
    results = []
    with isolated_cache(simulated_latency_seconds=simulated_latency_seconds):
        require_permissions()
        for name in chosen:
            # What one has cached is no other's hit: nothing ever invalidates it for some strategies.
            empty_cache()
            try:
                results.append(EXPERIMENTS[name].measure(options))
            except (BenchmarkError, DatabaseError, RedisError) as error:
                if on_failure is None or not results:
                    raise
                on_failure(name, error)
        latency_seconds = settings.SIMULATED_LATENCY_SECONDS
    if results:
        results[0] = dataclasses.replace(results[0], warnings=(*doubts, *results[0].warnings))
    # What was written was written under the benchmark's own tokens. A server that answered
    # meanwhile may have kept it under its own.
    rotate(Product, Category, Tag, Product.tags.through)
    return Run(
        path=options.path,
        seed=options.seed,
        effort=options.effort.value,
        products=products,
        simulated_latency_seconds=latency_seconds,
        environment=environment,
        experiments=tuple(results),
    )


def require_measurable(
    options: Options,
    *,
    experiments: Sequence[str],
    simulated_latency_seconds: float | None,
    may_write_anywhere: bool,
) -> None:
    """Raises ``InvalidOption``."""
    require_path(options.path)
    _require_numbers(options, simulated_latency_seconds)
    if writing_experiments(experiments):
        require_own_database(may_write_anywhere=may_write_anywhere)


def writing_experiments(experiments: Sequence[str]) -> list[str]:
    """Those that write rows of their own."""
    return [name for name in select_experiments(experiments) if EXPERIMENTS[name].WRITES]


def estimate_seconds(options: Options, experiments: Sequence[str]) -> float:
    return sum(EXPERIMENTS[name].estimate_seconds(options) for name in select_experiments(experiments))


def require_own_database(*, may_write_anywhere: bool) -> None:
    """Raises ``InvalidOption`` for a database on another machine, unless the user insists."""
    host = str(connection.settings_dict.get("HOST") or "")
    if not may_write_anywhere and host not in LOCAL_HOSTS and not host.startswith("/"):
        raise InvalidOption(
            f"The database at {host} is not on this machine, and these experiments write to it. "
            "They remove what they made; if that is fine: --yes-this-database"
        )


def _require_writable(writing: Sequence[str]) -> None:
    """Known before others have measured for an hour. Raises ``InvalidOption``."""
    if not writing:
        return
    try:
        # Rolled back, so nobody needs to be told.
        with only_invalidation_of(UNCACHED), transaction.atomic():
            Category.objects.create(name=LABEL, slug=f"{LABEL}-{new_suffix()}")
            transaction.set_rollback(True)
    except DatabaseError as error:
        reading = [name for name in EXPERIMENTS if not EXPERIMENTS[name].WRITES]
        reason = "".join(str(error).splitlines()[:1])
        raise InvalidOption(
            f"{', '.join(writing)} must write to the database, and cannot: {reason}. Let DATABASE_URL name a "
            f"role that may write, or choose among {', '.join(reading)}."
        ) from error


def _require_numbers(options: Options, simulated_latency_seconds: float | None) -> None:
    # NumPy draws from no other seeds.
    require_at_least("--seed", options.seed, 0)
    if options.requests is not None:
        require_at_least("--requests", options.requests, 1)
    if options.warmup is not None:
        require_at_least("--warmup", options.warmup, 0)
    if simulated_latency_seconds is not None:
        require_at_least("--simulate-latency", simulated_latency_seconds, 0)
        if simulated_latency_seconds > MAX_LATENCY_SECONDS:
            raise InvalidOption(
                f"--simulate-latency must be at most {MAX_LATENCY_SECONDS}, got {simulated_latency_seconds}."
            )
