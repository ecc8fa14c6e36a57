"""One run of the benchmark: the selected experiments, within an isolated part of Redis."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from redis.exceptions import RedisError

from catalog.benchmarks.clients.in_process import require_path
from catalog.benchmarks.environment import describe_environment, disturbances
from catalog.benchmarks.errors import BenchmarkError, first_line
from catalog.benchmarks.experiments.selection import (
    EXPERIMENTS,
    estimate_seconds,
    measure,
    select_experiments,
)
from catalog.benchmarks.figures.results import ExperimentResult, Run
from catalog.benchmarks.options import Options
from catalog.benchmarks.sandbox.isolation import empty_cache, isolated_cache, require_permissions
from catalog.benchmarks.sandbox.rows import LABEL
from catalog.benchmarks.sandbox.run_lock import new_suffix
from catalog.benchmarks.strategies.registry import FLOORS, UNCACHED, describe, only_invalidation_of
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
    on_result: Callable[[Run], None] = lambda _: None,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> Run:
    """Measure, and leave the catalogue and the cache as they were, also after Ctrl-C.

    Calls ``options.on_progress`` with parts of ``estimate_run_seconds()``, and ``on_result`` after each
    experiment with the run so far. With ``on_failure``, an experiment that fails after others is left out,
    and ``on_failure`` gets its name and its error. Raises ``InvalidOption`` and ``BenchmarkError``.
    """
    require_measurable(
        options,
        experiments=experiments,
        simulated_latency_seconds=simulated_latency_seconds,
        may_write_anywhere=may_write_anywhere,
    )
    selected = select_experiments(experiments)
    # A catalogue that cannot be read is not the failure of an experiment.
    products = Product.objects.count()
    _require_writable(writing_experiments(selected))
    environment, doubts = describe_environment(), disturbances()
    with isolated_cache(simulated_latency_seconds=simulated_latency_seconds):
        require_permissions()
        run = Run(
            path=options.path,
            seed=options.seed,
            effort=options.effort.value,
            products=products,
            simulated_latency_seconds=settings.SIMULATED_LATENCY_SECONDS,
            environment=environment,
            strategies=describe(options.strategies),
            experiments=(),
        )
        for name in selected:
            # Pages that one experiment has cached must not be hits of the next one. Some strategies
            # never invalidate a page.
            empty_cache()
            try:
                result = measure(name, options)
            except (BenchmarkError, DatabaseError, RedisError) as error:
                if on_failure is None or not run.experiments:
                    raise
                on_failure(name, error)
            else:
                run = _extended(run, result, doubts)
                on_result(run)
    # The writes rotated the tokens of the isolated cache only. A server that answered requests
    # meanwhile may have stored their rows under the tokens of the shop's cache.
    rotate(Product, Category, Tag, Product.tags.through)
    return run


def _extended(run: Run, result: ExperimentResult, doubts: Sequence[str]) -> Run:
    """The run with one more result. The first result also has the doubts about the machine as warnings."""
    if not run.experiments:
        result = dataclasses.replace(result, warnings=(*doubts, *result.warnings))
    known = {each.name for each in run.strategies}
    measured = {figure.strategy for figure in result.figures}
    floors = [each for each in FLOORS if each.name in measured - known]
    return dataclasses.replace(
        run,
        strategies=(*run.strategies, *describe(floors)),
        experiments=(*run.experiments, result),
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
    """The selected experiments that write scratch rows."""
    return [name for name in select_experiments(experiments) if EXPERIMENTS[name].WRITES]


def estimate_run_seconds(options: Options, experiments: Sequence[str]) -> float:
    return sum(estimate_seconds(name, options) for name in select_experiments(experiments))


def require_own_database(*, may_write_anywhere: bool) -> None:
    """Raises ``InvalidOption`` for a database on another machine, unless the user insists."""
    host = str(connection.settings_dict.get("HOST") or "")
    if not may_write_anywhere and host not in LOCAL_HOSTS and not host.startswith("/"):
        raise InvalidOption(
            f"The database at {host} is not on this machine, and these experiments write to it. "
            "They remove what they have written. To allow it, add --yes-this-database"
        )


def _require_writable(writing: Sequence[str]) -> None:
    """Raises ``InvalidOption`` before other experiments have measured for an hour."""
    if not writing:
        return
    try:
        # The row is rolled back, so no strategy needs to invalidate anything.
        with only_invalidation_of(UNCACHED), transaction.atomic():
            Category.objects.create(name=LABEL, slug=f"{LABEL}-{new_suffix()}")
            transaction.set_rollback(True)
    except DatabaseError as error:
        reading = [name for name in EXPERIMENTS if not EXPERIMENTS[name].WRITES]
        raise InvalidOption(
            f"{', '.join(writing)} must write to the database, and cannot: {first_line(error)}. "
            f"Let DATABASE_URL name a role that may write, or choose among {', '.join(reading)}."
        ) from error


def _require_numbers(options: Options, simulated_latency_seconds: float | None) -> None:
    # NumPy refuses negative seeds.
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
