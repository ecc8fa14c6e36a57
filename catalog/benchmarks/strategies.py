"""The ways of serving the catalogue that are measured against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from catalog import signals
from catalog.options import InvalidOption


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """One way of serving: where its views are, and how to silence its invalidation.

    ``caches`` says whether a repeat request may be answered without a query, and so must be.
    """

    name: str
    url_prefix: str
    caches: bool
    without_invalidation: Callable[[], AbstractContextManager[None]] = nullcontext

    def url(self, path: str) -> str:
        return f"{self.url_prefix}{path}"


UNCACHED = Strategy(name="uncached", url_prefix="/uncached", caches=False)
TEXTBOOK = Strategy(
    name="textbook", url_prefix="/textbook", caches=True, without_invalidation=signals.disconnected
)
STRATEGIES = {strategy.name: strategy for strategy in (UNCACHED, TEXTBOOK)}


def select_strategies(names: Sequence[str]) -> list[Strategy]:
    """The named strategies after ``uncached``, which every figure is compared with; all for no names.

    Raises ``InvalidOption``.
    """
    if unknown := [name for name in names if name not in STRATEGIES]:
        raise InvalidOption(f"--strategy must be one of {', '.join(STRATEGIES)}, got {unknown[0]!r}.")
    chosen = [STRATEGIES[name] for name in dict.fromkeys(names or STRATEGIES)]
    return [UNCACHED, *(strategy for strategy in chosen if strategy is not UNCACHED)]


@contextmanager
def only_invalidation_of(strategy: Strategy) -> Iterator[None]:
    """Every other strategy's receivers are disconnected inside: their work is not this one's cost."""
    with ExitStack() as stack:
        for other in STRATEGIES.values():
            if other is not strategy:
                stack.enter_context(other.without_invalidation())
        yield
