"""The strategies that are compared, and the switch for the invalidation that is connected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar

from django.conf import settings

from catalog import signals
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.results import MeasuredStrategy
from catalog.benchmarks.strategies import plug_ins
from catalog.benchmarks.strategies.base import Strategy
from catalog.options import InvalidOption
from readcache.invalidation import recording

__all__ = ["FLOORS", "STRATEGIES", "UNCACHED", "Strategy", "find_strategy", "only_invalidation_of"]


class Uncached(Strategy):
    """The plain views without any cache. All figures are compared with theirs."""

    name = names.UNCACHED
    url_prefix = "/uncached"
    caches = False


class Textbook(Strategy):
    """The recipe of tutorials: ``cache_page`` on django-redis, and ``delete_pattern`` in signal receivers."""

    name = names.TEXTBOOK
    url_prefix = "/textbook"

    def without_invalidation(self) -> AbstractContextManager[None]:
        return signals.disconnected()


class Builtin(Strategy):
    """``cache_page`` on Django's own Redis backend. Only its timeout invalidates a page.

    The backend cannot delete keys by a pattern, and an application cannot name the keys of ``cache_page``.
    """

    name = names.BUILTIN
    url_prefix = "/builtin"


class ReadCacheStrategy(Strategy):
    """The read cache of this project, the app ``readcache``."""

    name = names.READ_CACHE
    url_prefix = ""

    def without_invalidation(self) -> AbstractContextManager[None]:
        return recording.suspended()


class Floor(Strategy):
    """A bare view that returns the same bytes from memory: no cache can be faster."""

    name = names.FLOOR
    url_prefix = "/floor"


class FloorWithGet(Strategy):
    """A bare view that fetches the same bytes from Redis with one GET: no cache in Redis can be faster."""

    name = names.FLOOR_WITH_GET
    url_prefix = "/floor-get"


UNCACHED, TEXTBOOK, BUILTIN, READ_CACHE = Uncached(), Textbook(), Builtin(), ReadCacheStrategy()
FLOOR, FLOOR_WITH_GET = Floor(), FloorWithGet()
STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy for strategy in (UNCACHED, TEXTBOOK, BUILTIN, READ_CACHE)
}
FLOORS: tuple[Strategy, ...] = (FLOOR, FLOOR_WITH_GET)
TAKEN_NAMES = (*STRATEGIES, *names.FLOORS)

_connected: ContextVar[Strategy | None] = ContextVar("connected", default=None)


def select_strategies(selected: Sequence[str]) -> list[Strategy]:
    """``uncached``, then the selected strategies; the shop's strategies if none is selected.

    Each is selected by its name or, for a user's strategy, ``module:Class``. Raises ``InvalidOption``.
    """
    chosen = dict.fromkeys(map(find_strategy, selected or _served_names()))
    return [UNCACHED, *(strategy for strategy in chosen if strategy is not UNCACHED)]


def describe(strategies: Sequence[Strategy]) -> tuple[MeasuredStrategy, ...]:
    return tuple(
        MeasuredStrategy(
            name=strategy.name,
            description=strategy.description,
            reference=strategy.name if strategy.name in TAKEN_NAMES else strategy.reference,
        )
        for strategy in strategies
    )


def find_strategy(name: str) -> Strategy:
    """Finds a strategy by its name or by ``module:Class``. Raises ``InvalidOption``."""
    if ":" in name:
        return plug_ins.load(name, taken=TAKEN_NAMES)
    known = known_strategies()
    if name not in known:
        raise InvalidOption(f"--strategy must be one of {', '.join(known)}, or MODULE:CLASS, got {name!r}.")
    if known[name] is TEXTBOOK and not settings.TEXTBOOK:
        raise InvalidOption(f"--strategy {name} is not served because TEXTBOOK is off. Set TEXTBOOK=on.")
    return known[name]


def known_strategies() -> dict[str, Strategy]:
    """The shop's strategies and the loaded ones, by name."""
    # A process that a benchmark started learns from its settings which ones to load.
    for reference in getattr(settings, "BENCH_STRATEGIES", ()):
        plug_ins.load(reference, taken=TAKEN_NAMES)
    return {**STRATEGIES, **plug_ins.loaded()}


def _served_names() -> list[str]:
    return [name for name, strategy in STRATEGIES.items() if settings.TEXTBOOK or strategy is not TEXTBOOK]


@contextmanager
def only_invalidation_of(strategy: Strategy) -> Iterator[None]:
    """Within the block, only this strategy's invalidation is connected, so writes do no work for others.

    Applies to this process and thread. Raises ``BenchmarkError`` for a strategy that needs a separate
    process; write with ``Requester.run`` instead.
    """
    if plug_ins.is_elsewhere(strategy):
        raise plug_ins.not_measured_here(strategy)
    if _connected.get() is strategy:
        # Nested: the inner block must not disconnect the receivers of the outer one.
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
