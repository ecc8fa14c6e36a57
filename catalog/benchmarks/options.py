"""The options of a run, which every experiment receives, and numbers that grow with its effort."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

from catalog.benchmarks.strategies.registry import Strategy

T = TypeVar("T")


class Effort(Enum):
    """How much an experiment measures: ``QUICK`` for continuous integration, ``THOROUGH`` for publication."""

    QUICK = "quick"
    NORMAL = "normal"
    THOROUGH = "thorough"


@dataclass(frozen=True)
class Scale(Generic[T]):
    """One number of an experiment for each effort."""

    quick: T
    normal: T
    thorough: T

    def at(self, effort: Effort) -> T:
        chosen: T = getattr(self, effort.value)
        return chosen


@dataclass(frozen=True, kw_only=True)
class Options:
    """``strategies`` starts with ``uncached`` and has no floors.

    ``requests`` and ``warmup`` replace the numbers that the effort implies. An experiment calls
    ``on_progress`` with each share of its work that is done. The shares add up to 1.
    """

    strategies: tuple[Strategy, ...]
    effort: Effort = Effort.NORMAL
    seed: int = 0
    path: str = "/products/"
    requests: int | None = None
    warmup: int | None = None
    on_progress: Callable[[float], None] = lambda _: None

    def shuffled(self, items: Sequence[T], *, rounds: int) -> Iterator[list[T]]:
        """The items in a new random order for each round, so that a busy moment affects all of them alike."""
        chance = random.Random(self.seed)
        for _ in range(rounds):
            yield chance.sample(items, len(items))

    def reporting_to(self, on_progress: Callable[[float], None]) -> Options:
        return replace(self, on_progress=on_progress)
