"""What readers, writers, and the whole soak of one strategy report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The place of a fact on the board, and one of its versions.
FactVersion = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ReadReport:
    """``stale`` maps each outdated version that was shown to the last time at which it was asked for.

    Times are nanoseconds of ``time.monotonic_ns()``, which all processes share.
    """

    reads: int
    hits: int
    stale_reads: int
    uncommitted_reads: int
    stale: Mapping[FactVersion, int]


@dataclass(frozen=True, kw_only=True)
class WriteReport:
    """``acknowledged`` maps each version to the time at which its write had returned."""

    writes: int
    rollbacks: int
    acknowledged: Mapping[FactVersion, int]


@dataclass(frozen=True, kw_only=True)
class FreshnessResult:
    """``stale_reads`` and ``uncommitted_reads`` count responses.

    ``oldest_stale_seconds`` is the longest time between the acknowledgement of a write and a request
    whose response did not show it.
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
