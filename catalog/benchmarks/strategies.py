"""The ways of serving the catalogue that are measured against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from catalog import signals
from catalog.caching import writes
from catalog.options import InvalidOption


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """One way of serving: where its views are, and how to silence its invalidation.

    ``caches`` says whether a repeat request may be answered without a query, and so must be. A
    floor is no way to serve a catalogue: it says what the cheapest answer of the same bytes costs.
    """

    name: str
    url_prefix: str
    caches: bool
    is_floor: bool = False
    without_invalidation: Callable[[], AbstractContextManager[None]] = nullcontext

    def url(self, path: str) -> str:
        return f"{self.url_prefix}{path}"


UNCACHED = Strategy(name="uncached", url_prefix="/uncached", caches=False)
TEXTBOOK = Strategy(
    name="textbook", url_prefix="/textbook", caches=True, without_invalidation=signals.disconnected
)
READ_CACHE = Strategy(name="readcache", url_prefix="", caches=True, without_invalidation=writes.suspended)
FLOOR = Strategy(name="floor", url_prefix="/floor", caches=True, is_floor=True)
FLOOR_WITH_GET = Strategy(name="floor-get", url_prefix="/floor-get", caches=True, is_floor=True)
STRATEGIES = {strategy.name: strategy for strategy in (UNCACHED, TEXTBOOK, READ_CACHE)}
FLOORS = (FLOOR, FLOOR_WITH_GET)
FLOOR_NAMES = tuple(strategy.name for strategy in FLOORS)


def select_strategies(names: Sequence[str]) -> list[Strategy]:
    """The named strategies after ``uncached``, which every figure is compared with; all for no names.

    Raises ``InvalidOption``.
    """
    chosen = [find_strategy(name) for name in dict.fromkeys(names or STRATEGIES)]
    return [UNCACHED, *(strategy for strategy in chosen if strategy is not UNCACHED)]


def find_strategy(name: str) -> Strategy:
    """Raises ``InvalidOption``."""
    if name not in STRATEGIES:
        raise InvalidOption(f"--strategy must be one of {', '.join(STRATEGIES)}, got {name!r}.")
    return STRATEGIES[name]


@contextmanager
def only_invalidation_of(strategy: Strategy) -> Iterator[None]:
    """Every other strategy's receivers are disconnected inside: their work is not this one's cost."""
    with ExitStack() as stack:
        for other in STRATEGIES.values():
            if other.name != strategy.name:
                stack.enter_context(other.without_invalidation())
        yield
