"""The ways of serving the catalogue that are measured against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar

from django.conf import settings

from catalog import signals
from catalog.benchmarks.strategies import plug_ins
from catalog.benchmarks.strategies.base import Strategy
from catalog.options import InvalidOption
from readcache.invalidation import recording

__all__ = [
    "FLOORS",
    "FLOOR_NAMES",
    "STRATEGIES",
    "Strategy",
    "find_strategy",
    "known_strategies",
    "only_invalidation_of",
    "select_strategies",
]


class Uncached(Strategy):
    """The plain views, which every figure is compared with."""

    name = "uncached"
    url_prefix = "/uncached"
    caches = False


class Textbook(Strategy):
    """``cache_page`` with django-redis, and ``delete_pattern`` when a product is saved or deleted."""

    name = "textbook"
    url_prefix = "/textbook"

    def without_invalidation(self) -> AbstractContextManager[None]:
        return signals.disconnected()


class Builtin(Strategy):
    """What Django gives by itself: ``cache_page`` on Django's own Redis backend.

    That backend cannot delete by a pattern, and nobody can name the keys of ``cache_page``: nothing
    but its time-out invalidates a page.
    """

    name = "builtin"
    url_prefix = "/builtin"


class ReadCacheStrategy(Strategy):
    """The engine of ``readcache``."""

    name = "readcache"
    url_prefix = ""

    def without_invalidation(self) -> AbstractContextManager[None]:
        return recording.suspended()


class Floor(Strategy):
    """A bare view that answers the same bytes from memory."""

    name = "floor"
    url_prefix = "/floor"


class FloorWithGet(Strategy):
    """A bare view that fetches the same bytes from Redis with one GET."""

    name = "floor-get"
    url_prefix = "/floor-get"


UNCACHED, TEXTBOOK, BUILTIN, READ_CACHE = Uncached(), Textbook(), Builtin(), ReadCacheStrategy()
FLOOR, FLOOR_WITH_GET = Floor(), FloorWithGet()
STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy for strategy in (UNCACHED, TEXTBOOK, BUILTIN, READ_CACHE)
}
FLOORS: tuple[Strategy, ...] = (FLOOR, FLOOR_WITH_GET)
FLOOR_NAMES = tuple(strategy.name for strategy in FLOORS)
TAKEN_NAMES = (*STRATEGIES, *FLOOR_NAMES)

_connected: ContextVar[Strategy | None] = ContextVar("connected", default=None)


def select_strategies(names: Sequence[str]) -> list[Strategy]:
    """The named strategies after ``uncached``, which every figure is compared with; all for no names.

    A name may be ``module:Class``, a strategy of the user's own. Raises ``InvalidOption``.
    """
    chosen = dict.fromkeys(map(find_strategy, names or _served_names()))
    return [UNCACHED, *(strategy for strategy in chosen if strategy is not UNCACHED)]


def find_strategy(name: str) -> Strategy:
    """By its name or ``module:Class``. Raises ``InvalidOption``."""
    if ":" in name:
        return plug_ins.load(name, taken=TAKEN_NAMES)
    known = known_strategies()
    if name not in known:
        raise InvalidOption(
            f"--strategy must be one of {', '.join(known)}, or MODULE:CLASS of your own, got {name!r}."
        )
    if known[name] is TEXTBOOK and not settings.TEXTBOOK:
        raise InvalidOption(f"--strategy {name} is not served, since TEXTBOOK is off. Set TEXTBOOK=on.")
    return known[name]


def known_strategies() -> dict[str, Strategy]:
    """By their names: the shop's, and those that were loaded so far."""
    # A process that was started by a benchmark is told which there are.
    for reference in getattr(settings, "BENCH_STRATEGIES", ()):
        plug_ins.load(reference, taken=TAKEN_NAMES)
    return {**STRATEGIES, **plug_ins.loaded()}


def _served_names() -> list[str]:
    return [name for name, strategy in STRATEGIES.items() if settings.TEXTBOOK or strategy is not TEXTBOOK]


@contextmanager
def only_invalidation_of(strategy: Strategy) -> Iterator[None]:
    """Its invalidation is connected inside, and no other's: their work is not this one's cost.

    In this process and thread. A strategy with ``own_process`` is connected in its own: write with
    ``Requester.run``. Raises ``BenchmarkError`` for it here.
    """
    if plug_ins.is_elsewhere(strategy):
        raise plug_ins.not_measured_here(strategy)
    if _connected.get() is strategy:
        # Within itself: the inner one must not disconnect the outer one's receivers.
        yield
        return
    token = _connected.set(strategy)
    try:
        with ExitStack() as stack:
            for other in STRATEGIES.values():
                if other is not strategy:
                    stack.enter_context(other.without_invalidation())
            stack.enter_context(strategy.invalidation())
            yield
    finally:
        _connected.reset(token)
