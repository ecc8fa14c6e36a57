"""What clients and a writer of one strategy saw in one outage, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.benchmarks.experiments.outage.requests import Request
from catalog.benchmarks.experiments.outage.sites import Save
from catalog.benchmarks.strategies.registry import Strategy


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
