"""The outages: each begins and ends for all sites at once, and is the same for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.outage.observations import Observation, OutageTimes
from catalog.benchmarks.experiments.outage.requests import PATIENCE_SECONDS, Request
from catalog.benchmarks.experiments.outage.scratch_server import SacrificialRedis, sacrificial_redis
from catalog.benchmarks.experiments.outage.sites import Site, running_sites
from catalog.benchmarks.sandbox.rows import own_rows
from catalog.benchmarks.strategies.registry import Strategy
from catalog.models import Product

REFUSED, HUNG, RESTARTED = "refused", "hung", "restarted"
BREAKS: dict[str, Callable[[SacrificialRedis], AbstractContextManager[None]]] = {
    REFUSED: SacrificialRedis.refused,
    HUNG: SacrificialRedis.hung,
    RESTARTED: SacrificialRedis.restarted,
}
CASES = tuple(BREAKS)
# Between two saves: the first may hold a lock of the database that the second would wait for.
BETWEEN_SAVES_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds. An outage lasts longer than ``outage`` where saves do, but never than ``longest_outage``.

    ``noticing`` is how much of an outage passes before the first save. ``recovery`` is how long
    visitors are watched after it, and ``longest_recovery`` where they still get nothing cached.
    """

    steady: float = 0.4
    noticing: float = 0.3
    outage: float
    longest_outage: float
    recovery: float
    longest_recovery: float


def observe_outages(
    strategies: Sequence[Strategy],
    timing: Timing,
    *,
    program: Path,
    cases: Sequence[str] = CASES,
    on_start: Callable[[], None] = lambda: None,
    on_case: Callable[[str], None] = lambda _: None,
) -> list[Observation]:
    """By case and strategy. Within ``isolated_cache()``. Raises ``BenchmarkError``.

    ``on_start`` is called when everything runs, and ``on_case`` with each case after it.
    """
    limit_seconds = 2 * PATIENCE_SECONDS + len(cases) * (
        PATIENCE_SECONDS + timing.longest_outage + timing.longest_recovery
    )
    observations = []
    with (
        own_rows(len(strategies)) as rows,
        sacrificial_redis(program, limit_seconds=2 * limit_seconds) as redis,
        running_sites(strategies, rows, redis_url=redis.url, seconds=limit_seconds) as sites,
    ):
        on_start()
        for number, case in enumerate(cases):
            # Stocks that none of the products has had.
            observations += _observe(case, redis, sites, timing, stock=100 * (number + 1))
            on_case(case)
    return observations


def _observe(
    case: str, redis: SacrificialRedis, sites: Sequence[Site], timing: Timing, *, stock: int
) -> list[Observation]:
    steady_since = _reach_steady_state(redis, sites, stock)
    time.sleep(timing.steady)
    for site in sites:
        site.visitor.waits_for(Request.is_any, since=steady_since, until=steady_since + PATIENCE_SECONDS)
    steady = [tuple(site.visitor.since(steady_since)) for site in sites]
    times = _go_through(case, redis, sites, timing, stock + 1)
    saves = [site.writer.collect() for site in sites]
    _sleep_until(times.returned + timing.recovery)
    for site in sites:
        if site.strategy.caches:
            until = times.returned + timing.longest_recovery
            site.visitor.waits_for(Request.is_cached, since=times.returned, until=until)
    with _paused(sites, until=time.monotonic() + PATIENCE_SECONDS):
        observations = [
            Observation(
                strategy=site.strategy,
                case=case,
                times=times,
                steady=calm,
                requests=tuple(site.visitor.since(times.began)),
                save=save,
                saved_stock=stock + 1,
                written_stock=Product.objects.values_list("stock", flat=True).get(pk=site.product),
            )
            for site, calm, save in zip(sites, steady, saves, strict=True)
        ]
    _require_requests(observations)
    return observations


def _require_requests(observations: Sequence[Observation]) -> None:
    for seen in observations:
        if not (seen.steady and seen.during):
            raise BenchmarkError(
                f"{seen.strategy.name} answered no request that was asked while Redis was {seen.case}, "
                f"or before, within {PATIENCE_SECONDS:g} s. Try a lower --simulate-latency."
            )


def _reach_steady_state(redis: SacrificialRedis, sites: Sequence[Site], stock: int) -> float:
    """Save once, so that writers are connected too, and wait until answers come from the cache.

    Returns since when they do. Raises ``BenchmarkError``.
    """
    # A page that was filled late would hide this save, which is another experiment's matter.
    with _paused(sites, until=time.monotonic() + PATIENCE_SECONDS):
        for site in sites:
            site.writer.order(stock)
            if error := site.writer.collect().error:
                raise BenchmarkError(f"{site.strategy.name} cannot save although Redis is there. {error}")
        # Also for a strategy that does not notice the save.
        redis.empty()
        saved = time.monotonic()
    for site in sites:
        caches = site.strategy.caches
        wanted = partial(_shows, stock=stock, from_cache=caches)
        if not site.visitor.waits_for(wanted, since=saved, until=saved + PATIENCE_SECONDS):
            raise BenchmarkError(
                f"{site.strategy.name} does not answer {site.visitor.url} as it was saved"
                f"{', from its cache,' if caches else ''} within {PATIENCE_SECONDS:g} s although Redis "
                "is there. Try a lower --simulate-latency."
            )
    return time.monotonic()


def _go_through(
    case: str, redis: SacrificialRedis, sites: Sequence[Site], timing: Timing, stock: int
) -> OutageTimes:
    # No request is under way when it begins, and none when it ends if that can be waited for: each
    # is of before, of the outage, or of after.
    with ExitStack() as outage, ExitStack() as pause:
        with _paused(sites, until=time.monotonic() + PATIENCE_SECONDS):
            outage.enter_context(BREAKS[case](redis))
            if case == RESTARTED:
                _order_saves(sites, stock, time.monotonic() + timing.longest_outage)
            began = time.monotonic()
        latest = began + timing.longest_outage
        if case != RESTARTED:
            time.sleep(timing.noticing)
            _order_saves(sites, stock, latest)
        _sleep_until(began + timing.outage)
        pause.enter_context(_paused(sites, until=latest))
        ending = time.monotonic()
        outage.close()
        returned = began if case == RESTARTED else time.monotonic()
    return OutageTimes(began=began, ending=ending, returned=returned)


@contextmanager
def _paused(sites: Sequence[Site], *, until: float) -> Iterator[None]:
    with ExitStack() as stack:
        for site in sites:
            stack.enter_context(site.visitor.pausing(within_seconds=until - time.monotonic()))
        yield


def _order_saves(sites: Sequence[Site], stock: int, deadline: float) -> None:
    """One after the other where they are quick, and wait for all of them until the deadline."""
    for site in sites:
        site.writer.order(stock)
        site.writer.has_ended(within_seconds=BETWEEN_SAVES_SECONDS)
    for site in sites:
        site.writer.has_ended(within_seconds=deadline - time.monotonic())


def _shows(request: Request, *, stock: int, from_cache: bool) -> bool:
    return request.is_ok and request.stock == stock and (request.is_hit or not from_cache)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
