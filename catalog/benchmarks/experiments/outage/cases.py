"""The outages, and the observations of a client and a writer of each strategy.

Each outage begins and ends for all sites at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.outage import faults
from catalog.benchmarks.experiments.outage.requests import PATIENCE_SECONDS, Request
from catalog.benchmarks.experiments.outage.sites import Save, Site, has_recovered, save
from catalog.benchmarks.strategies.registry import Strategy
from catalog.models import Product
from readcache.testing import PrivateRedis

REFUSED, HUNG, RESTARTED = "refused", "hung", "restarted"
FAULTS: dict[str, Callable[[PrivateRedis], AbstractContextManager[None]]] = {
    REFUSED: faults.refused,
    HUNG: faults.hung,
    RESTARTED: faults.restarted,
}
CASES = tuple(FAULTS)
# The pause between two saves: the first may hold a database lock for which the second would wait.
BETWEEN_SAVES_SECONDS = 0.5
RECOVERY_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds. An outage lasts ``outage``, or until the saves have ended, but at most ``longest_outage``.

    ``noticing`` passes between the beginning of the outage and the first save. ``recovery`` is how long
    clients are watched after the outage, and ``longest_recovery`` if they still get nothing cached.
    """

    steady: float = 0.4
    noticing: float = 0.3
    outage: float
    longest_outage: float
    recovery: float
    longest_recovery: float


@dataclass(frozen=True, kw_only=True)
class OutageTimes:
    """Monotonic times: when it began, when its end began, and when Redis answered again.

    A restarted Redis has returned at the beginning, and the time that follows counts as the outage.
    """

    began: float
    ending: float
    returned: float


@dataclass(frozen=True, kw_only=True)
class Observation:
    """``steady`` are requests before the outage, ``requests`` all requests since it began."""

    strategy: Strategy
    case: str
    times: OutageTimes
    steady: tuple[Request, ...]
    requests: tuple[Request, ...]
    save: Save
    saved_stock: int
    written_stock: int

    @property
    def during(self) -> list[Request]:
        return [request for request in self.requests if request.asked < self.times.ending]

    @property
    def ok(self) -> list[Request]:
        return [request for request in self.during if request.is_ok]

    @property
    def server_errors(self) -> list[Request]:
        return [request for request in self.during if request.status >= 500]

    @property
    def is_written(self) -> bool:
        return self.written_stock == self.saved_stock

    @property
    def is_failed_but_written(self) -> bool:
        return bool(self.save.error) and self.is_written

    @property
    def recovery_seconds(self) -> float | None:
        """From the return of Redis to the first hit; ``None`` if there was none."""
        found = (each for each in self.requests if each.asked >= self.times.returned and each.is_cached())
        first = next(found, None)
        return first.answered - self.times.returned if first else None

    @property
    def stale(self) -> list[Request]:
        """The requests after the save that do not show it although its row was written."""
        since_save = (each for each in self.requests if each.is_ok and each.asked >= self.save.ended)
        return [each for each in since_save if self.is_written and each.stock != self.saved_stock]

    @property
    def last_stale_seconds(self) -> float:
        """From the return of Redis to the last request with a stale response; 0 if there was none."""
        return max((each.asked - self.times.returned for each in self.stale), default=0.0)


def observe(
    case: str, redis: PrivateRedis, sites: Sequence[Site], timing: Timing, *, stock: int
) -> list[Observation]:
    """An observation of each site in one outage. No product had this stock or the next one before.

    Raises ``BenchmarkError``.
    """
    steady_since = _reach_steady_state(redis, sites, stock)
    time.sleep(timing.steady)
    for site in sites:
        site.client.waits_for(lambda _: True, since=steady_since, until=steady_since + PATIENCE_SECONDS)
    steady = [tuple(site.client.since(steady_since)) for site in sites]
    times = _go_through(case, redis, sites, timing, stock + 1)
    saves = [site.writer.answer() for site in sites]
    _sleep_until(times.returned + timing.recovery)
    for site in sites:
        if site.strategy.caches:
            until = times.returned + timing.longest_recovery
            site.client.waits_for(Request.is_cached, since=times.returned, until=until)
    with _paused(sites, until=time.monotonic() + PATIENCE_SECONDS):
        observations = [
            Observation(
                strategy=site.strategy,
                case=case,
                times=times,
                steady=calm,
                requests=tuple(site.client.since(times.began)),
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


def _reach_steady_state(redis: PrivateRedis, sites: Sequence[Site], stock: int) -> float:
    """Save once, so that writers are connected, too, and wait until responses come from the cache.

    Returns the time from which on they do. Raises ``BenchmarkError``.
    """
    # A fill that began before the save would hide it, which another experiment measures.
    with _paused(sites, until=time.monotonic() + PATIENCE_SECONDS):
        for site in sites:
            _wait_until_recovered(site)
            if error := site.writer.ask(save, stock=stock).error:
                raise BenchmarkError(f"{site.strategy.name} cannot save although Redis is there. {error}")
        # For strategies that do not notice the save.
        faults.empty(redis)
        saved = time.monotonic()
    for site in sites:
        caches = site.strategy.caches
        wanted = partial(_shows, stock=stock, from_cache=caches)
        if not site.client.waits_for(wanted, since=saved, until=saved + PATIENCE_SECONDS):
            raise BenchmarkError(
                f"{site.strategy.name} does not answer {site.client.url} as it was saved"
                f"{', from its cache,' if caches else ''} within {PATIENCE_SECONDS:g} s although Redis "
                "is there. Try a lower --simulate-latency."
            )
    return time.monotonic()


def _wait_until_recovered(site: Site) -> None:
    """A writer that still bypasses Redis would not notice the next outage. Raises ``BenchmarkError``."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not site.writer.ask(has_recovered):
        if time.monotonic() > until:
            raise BenchmarkError(
                f"The writer of {site.strategy.name} has not used Redis for {PATIENCE_SECONDS:g} s "
                "although Redis is there."
            )
        time.sleep(RECOVERY_POLL_SECONDS)


def _go_through(
    case: str, redis: PrivateRedis, sites: Sequence[Site], timing: Timing, stock: int
) -> OutageTimes:
    # No request is under way when the outage begins. The same holds for its end, unless a request takes too
    # long. So each request belongs to the time before, during or after the outage.
    with ExitStack() as outage, ExitStack() as pause:
        with _paused(sites, until=time.monotonic() + PATIENCE_SECONDS):
            outage.enter_context(FAULTS[case](redis))
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
            stack.enter_context(site.client.pausing(within_seconds=until - time.monotonic()))
        yield


def _order_saves(sites: Sequence[Site], stock: int, deadline: float) -> None:
    """Order one save after the other, a pause apart if they are slow, and wait until the deadline."""
    for site in sites:
        site.writer.order(save, stock=stock)
        site.writer.has_answered(within_seconds=BETWEEN_SAVES_SECONDS)
    for site in sites:
        site.writer.has_answered(within_seconds=deadline - time.monotonic())


def _shows(request: Request, *, stock: int, from_cache: bool) -> bool:
    return request.is_ok and request.stock == stock and (request.is_hit or not from_cache)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
