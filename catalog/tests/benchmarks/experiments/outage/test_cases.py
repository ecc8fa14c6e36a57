"""An outage with a simulated clock. Clients, writers and Redis record the time of each event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.outage import cases, faults
from catalog.benchmarks.experiments.outage.cases import HUNG, REFUSED, RESTARTED, Observation, Timing
from catalog.benchmarks.experiments.outage.requests import PATIENCE_SECONDS, Request
from catalog.benchmarks.experiments.outage.sites import Save, has_recovered
from catalog.benchmarks.strategies.registry import READ_CACHE, UNCACHED, Strategy
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db

TIMING = Timing(steady=1, noticing=0.5, outage=10, longest_outage=20, recovery=4, longest_recovery=8)
STOCK = 100


class World:
    """Time passes only during sleeps and waits. Each client requests ten times a second unless paused.

    ``events`` holds each event with its second.
    """

    def __init__(self) -> None:
        self.tenths = 0
        self.events: list[tuple[float, str]] = []
        self.clients: list[Client] = []
        self.is_broken = False
        self.save_seconds = 0.0
        self.repair_seconds = 0.0

    def monotonic(self) -> float:
        return self.tenths / 10

    def sleep(self, seconds: float) -> None:
        for _ in range(round(10 * seconds)):
            self.tenths += 1
            for client in self.clients:
                client.ask()

    def note(self, event: str) -> None:
        self.events.append((self.monotonic(), event))

    def when(self, event: str) -> list[float]:
        return [second for second, each in self.events if each == event]

    @contextmanager
    def broken(self, redis: Any) -> Iterator[None]:
        # Breaking Redis takes some time.
        self.tenths += 1
        self.note("break")
        self.is_broken = True
        yield
        self.sleep(self.repair_seconds)
        self.is_broken = False
        self.note("repair")


class Client:
    """Reads the database. A response is a hit unless Redis is broken or ``is_hit_from`` is in the future."""

    url = "/page/"

    def __init__(self, world: World, product: Product, *, caches: bool) -> None:
        self.world, self.product, self.caches = world, product, caches
        self.requests: list[Request] = []
        self.is_paused = False
        self.is_hit_from = 0.0
        self.is_silent = False
        self.seconds_between_requests = 0.1
        # For each pause, the longest wait that was allowed for the answer to the last request.
        self.pauses: list[float] = []
        world.clients.append(self)

    def ask(self) -> None:
        now = self.world.monotonic()
        last = self.requests[-1].asked if self.requests else 0
        if self.is_paused or self.is_silent or now - last < self.seconds_between_requests - 0.01:
            return
        self.product.refresh_from_db()
        is_hit = self.caches and not self.world.is_broken and now >= self.is_hit_from
        self.requests.append(
            Request(asked=now, seconds=0.01, status=200, is_hit=is_hit, stock=self.product.stock)
        )

    @contextmanager
    def pausing(self, *, within_seconds: float) -> Iterator[None]:
        self.world.note("pause")
        self.pauses.append(within_seconds)
        self.is_paused = True
        try:
            yield
        finally:
            self.is_paused = False
            self.world.note("go on")

    def since(self, asked: float) -> list[Request]:
        return [request for request in self.requests if request.asked >= asked]

    def waits_for(self, wanted: Callable[[Request], bool], *, since: float, until: float) -> bool:
        while not any(map(wanted, self.since(since))):
            if self.world.monotonic() > until:
                return False
            self.world.sleep(0.1)
        return True


class Writer:
    """A save takes ``save_seconds``. It fails if ``error`` is set. Redis is used from ``recovers_at`` on."""

    def __init__(self, world: World, product: Product) -> None:
        self.world, self.product = world, product
        self.recovers_at = 0.0
        self.error = ""
        self._ready_at = 0.0

    def ask(self, method: Any, *, stock: int = 0) -> Save | bool:
        if method is has_recovered:
            return self.world.monotonic() >= self.recovers_at
        self.world.note("steady save")
        return self._save(stock)

    def order(self, method: Any, *, stock: int) -> None:
        self.world.note("save")
        self._last = self._save(stock)
        self._ready_at = self.world.monotonic() + self.world.save_seconds

    def has_answered(self, *, within_seconds: float) -> bool:
        left = self._ready_at - self.world.monotonic()
        self.world.sleep(max(0.0, min(left, within_seconds)))
        return self.world.monotonic() >= self._ready_at

    def answer(self) -> Save:
        self.world.note("collect")
        return self._last

    def _save(self, stock: int) -> Save:
        if not self.error:
            Product.objects.filter(pk=self.product.pk).update(stock=stock)
        return Save(ended=self.world.monotonic(), seconds=self.world.save_seconds, error=self.error)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(cases, "time", found)
    monkeypatch.setattr(cases, "FAULTS", dict.fromkeys((REFUSED, HUNG, RESTARTED), found.broken))
    monkeypatch.setattr(faults, "empty", lambda redis: found.note("empty"))
    return found


def site(world: World, strategy: Strategy = READ_CACHE) -> Any:
    product = ProductFactory.create(stock=1)
    return SimpleNamespace(
        strategy=strategy,
        product=product.pk,
        client=Client(world, product, caches=strategy.caches),
        writer=Writer(world, product),
    )


def observe(case: str, *sites: Any) -> list[Observation]:
    redis: Any = None
    return cases.observe(case, redis, sites, TIMING, stock=STOCK)


@pytest.mark.parametrize("case", [REFUSED, HUNG])
def test_a_redis_that_goes_away_is_noticed_before_a_save_and_is_back_after_the_outage(
    world: World, case: str
) -> None:
    [seen] = observe(case, site(world))

    [began] = world.when("break")
    assert seen.case == case
    assert world.when("save") == [began + TIMING.noticing]
    assert (seen.times.began, seen.times.ending) == (began, began + TIMING.outage)
    assert seen.times.returned == began + TIMING.outage
    # The requests are recorded until the recovery is over.
    assert seen.requests[-1].asked == pytest.approx(seen.times.returned + TIMING.recovery)
    assert [event for _, event in world.events] == [
        *("pause", "steady save", "empty", "go on"),
        *("pause", "break", "go on", "save", "pause", "repair", "go on"),
        *("collect", "pause", "go on"),
    ]


def test_a_restarted_redis_is_back_at_once_and_the_save_comes_before_the_first_request(world: World) -> None:
    world.save_seconds = 0.3

    [seen] = observe(RESTARTED, site(world))

    [broken], [saved] = world.when("break"), world.when("save")
    assert saved == broken
    assert seen.times.began == seen.times.returned == pytest.approx(saved + world.save_seconds)
    assert seen.times.ending == pytest.approx(seen.times.began + TIMING.outage)
    assert seen.requests[0].asked > saved + world.save_seconds
    assert [event for _, event in world.events][4:11] == [
        *("pause", "break", "save", "go on", "pause", "repair", "go on")
    ]


def test_a_save_to_a_restarted_redis_is_not_waited_for_longer_than_the_longest_outage(world: World) -> None:
    world.save_seconds = 600

    [seen] = observe(RESTARTED, site(world))

    [broken] = world.when("break")
    assert seen.times.began - broken == pytest.approx(TIMING.longest_outage)


def test_a_request_that_hangs_is_not_waited_for_longer_than_the_longest_outage(world: World) -> None:
    found = site(world)

    observe(HUNG, found)

    left = TIMING.longest_outage - TIMING.outage
    assert found.client.pauses == pytest.approx([PATIENCE_SECONDS, PATIENCE_SECONDS, left, PATIENCE_SECONDS])


def test_a_strategy_that_answers_slowly_has_a_steady_state_too(world: World) -> None:
    found = site(world)
    found.client.seconds_between_requests = 5.0

    [seen] = observe(REFUSED, found)

    assert len(seen.steady) == 1


def test_redis_is_back_when_it_has_been_started_again(world: World) -> None:
    world.repair_seconds = 0.7

    [seen] = observe(REFUSED, site(world))

    assert seen.times.returned == pytest.approx(seen.times.ending + 0.7)
    # No request is sent in between.
    assert [each for each in seen.requests if seen.times.ending < each.asked <= seen.times.returned] == []


def test_an_outage_lasts_as_long_as_its_saves_but_not_longer_than_the_longest(world: World) -> None:
    world.save_seconds = 15
    [slow] = observe(REFUSED, site(world))
    world.save_seconds = 600
    [endless] = observe(HUNG, site(world))

    assert slow.times.ending - slow.times.began == pytest.approx(TIMING.noticing + 15)
    assert endless.times.ending - endless.times.began == pytest.approx(TIMING.longest_outage)


def test_a_slow_save_of_one_site_does_not_keep_the_next_one_waiting_for_long(world: World) -> None:
    world.save_seconds = 3

    observe(REFUSED, site(world), site(world, UNCACHED))

    first, second = world.when("save")
    assert second - first == pytest.approx(cases.BETWEEN_SAVES_SECONDS)


def test_the_steady_state_is_what_was_asked_right_before_the_outage(world: World) -> None:
    [seen] = observe(REFUSED, site(world))

    assert seen.steady[-1].asked - seen.steady[0].asked == pytest.approx(TIMING.steady)
    assert seen.steady[-1].asked < seen.times.began
    assert {(each.is_hit, each.stock) for each in seen.steady} == {(True, STOCK)}
    assert min(each.asked for each in seen.requests) > seen.times.began


def test_what_was_saved_and_what_was_written_are_told_apart(world: World) -> None:
    fine, failing = site(world), site(world, UNCACHED)
    order = failing.writer.order

    def fail(method: Any, *, stock: int) -> None:
        failing.writer.error = "ConnectionError: Refused."
        order(method, stock=stock)

    failing.writer.order = fail

    written, lost = observe(REFUSED, fine, failing)

    assert (written.strategy, written.saved_stock, written.written_stock) == (
        READ_CACHE,
        STOCK + 1,
        STOCK + 1,
    )
    assert (lost.strategy, lost.saved_stock, lost.written_stock) == (UNCACHED, STOCK + 1, STOCK)
    assert (written.save.error, lost.save.error) == ("", "ConnectionError: Refused.")


@pytest.mark.parametrize(("delay", "recovery"), [(2, 2), (6, 6), (9, None)])
def test_a_cache_is_watched_until_it_serves_hits_again_but_not_for_ever(
    world: World, delay: float, recovery: float | None
) -> None:
    found = site(world)

    @contextmanager
    def broken(redis: Any) -> Iterator[None]:
        with world.broken(redis):
            yield
        found.client.is_hit_from = world.monotonic() + delay

    cases.FAULTS[REFUSED] = broken

    [seen] = observe(REFUSED, found)

    assert seen.recovery_seconds == (None if recovery is None else pytest.approx(recovery + 0.01))
    watched = seen.requests[-1].asked - seen.times.returned
    assert watched == pytest.approx(min(max(delay, TIMING.recovery), TIMING.longest_recovery), abs=0.11)


def test_a_strategy_that_caches_nothing_is_not_waited_for(world: World) -> None:
    [seen] = observe(REFUSED, site(world, UNCACHED))

    assert seen.requests[-1].asked == pytest.approx(seen.times.returned + TIMING.recovery)


# Errors that end the experiment


@pytest.mark.parametrize(("recovers_at", "is_reached"), [(3, True), (PATIENCE_SECONDS + 1, False)])
def test_no_outage_begins_before_a_writer_uses_redis_again(
    recovers_at: float, is_reached: bool, world: World
) -> None:
    found = site(world)
    found.writer.recovers_at = recovers_at

    with (
        nullcontext()
        if is_reached
        else pytest.raises(
            BenchmarkError,
            match=r"^The writer of readcache has not used Redis for 15 s although Redis is there\.$",
        )
    ):
        observe(REFUSED, found)

    assert bool(world.when("break")) is is_reached
    assert all(second >= recovers_at for second in world.when("steady save"))


def test_a_strategy_that_cannot_save_although_redis_is_there_is_an_error(world: World) -> None:
    found = site(world)
    found.writer.error = "ConnectionError: Refused."

    with pytest.raises(
        BenchmarkError, match=r"readcache cannot save although Redis is there\. ConnectionError: Refused\."
    ):
        observe(REFUSED, found)


@pytest.mark.parametrize(
    ("strategy", "words"),
    [(READ_CACHE, "as it was saved, from its cache, within"), (UNCACHED, "saved within")],
)
def test_a_strategy_that_never_shows_the_save_is_an_error(
    world: World, strategy: Strategy, words: str
) -> None:
    found = site(world, strategy)
    found.client.is_silent = True

    with pytest.raises(BenchmarkError, match=f"{strategy.name} does not answer /page/ .*{words} 15 s"):
        observe(REFUSED, found)


def test_a_cache_that_shows_the_save_without_a_hit_is_not_in_its_steady_state(world: World) -> None:
    found = site(world)
    found.client.is_hit_from = 1000

    with pytest.raises(BenchmarkError, match=r"from its cache, within 15 s"):
        observe(REFUSED, found)


def test_a_strategy_that_answers_nothing_meanwhile_is_an_error(world: World) -> None:
    found = site(world)

    @contextmanager
    def broken(redis: Any) -> Iterator[None]:
        with world.broken(redis):
            found.client.is_silent = True
            yield

    cases.FAULTS[REFUSED] = broken

    with pytest.raises(BenchmarkError, match=r"readcache answered no request .* while Redis was refused"):
        observe(REFUSED, found)
