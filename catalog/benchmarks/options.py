"""What the caller of a benchmark asked for, which every experiment is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

from catalog.benchmarks.strategies.registry import Strategy

T = TypeVar("T")


class Effort(Enum):
    """How long an experiment may take: ``QUICK`` is for continuous integration, ``THOROUGH`` for docs."""

    QUICK = "quick"
    NORMAL = "normal"
    THOROUGH = "thorough"


@dataclass(frozen=True)
class Scale(Generic[T]):
    """A number of an experiment that grows with the effort."""

    quick: T
    normal: T
    thorough: T

    def at(self, effort: Effort) -> T:
        chosen: T = getattr(self, effort.value)
        return chosen


@dataclass(frozen=True, kw_only=True)
class Options:
    """``strategies`` are without the floors, ``uncached`` first. ``requests`` overrides the effort's.

    An experiment calls ``on_progress`` with the seconds of its estimate that are done.
    """

    strategies: tuple[Strategy, ...]
    effort: Effort = Effort.NORMAL
    seed: int = 0
    path: str = "/products/"
    requests: int | None = None
    warmup: int | None = None
    on_progress: Callable[[float], None] = lambda _: None

    def reporting_to(self, on_progress: Callable[[float], None]) -> Options:
        return replace(self, on_progress=on_progress)
