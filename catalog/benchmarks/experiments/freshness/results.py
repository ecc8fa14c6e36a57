"""What a soak found out about one strategy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FreshnessResult:
    """``stale_reads`` and ``uncommitted_reads`` count answers.

    ``oldest_stale_seconds`` is the longest time for which a write had been acknowledged when an
    answer was asked for that did not show it.
    """

    strategy: str
    reads: int
    hits: int
    writes: int
    rollbacks: int
    stale_reads: int
    uncommitted_reads: int
    oldest_stale_seconds: float

    @property
    def hit_share(self) -> float:
        return self.hits / self.reads

    @property
    def is_fresh(self) -> bool:
        return not self.stale_reads and not self.uncommitted_reads
