"""The registry: which tables the views of any process depend on.

It is kept in Redis, because a process that writes may not know each declaration: a worker of
yesterday's release runs beside one of today's, and a module of views may be imported by the URLs only. Such
a process looks at the registry before a write and after it, unless its last look is younger than
``LOOK_SECONDS``. A fill is stored only under tables that were declared twice as long ago.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

LOOK_SECONDS = 1.0


class _Known(NamedTuple):
    """``every`` tag was made from the tags that this process declares, and from so many seen ones."""

    declared: frozenset[str]
    seen: int
    every: frozenset[str]


class Registry:
    """What this process knows of the registry. ``declared`` returns the tags that its own views declare."""

    def __init__(self, declared: Callable[[], frozenset[str]]) -> None:
        self._declared = declared
        self._known = _Known(frozenset(), 0, frozenset())
        # It only grows, and without a lock, which a forked process could inherit locked.
        self._seen: set[str] = set()
        self._looked_at = -LOOK_SECONDS

    def tags(self) -> frozenset[str]:
        """The tags that some process declares, as far as this one knows.

        The same object until there are more.
        """
        known, declared = self._known, self._declared()
        if known.declared is not declared or known.seen != len(self._seen):
            seen = frozenset(self._seen)
            every = declared | seen
            known = _Known(declared, len(seen), known.every if every == known.every else every)
            self._known = known
        return known.every

    def is_fresh(self) -> bool:
        """Whether the last look counts still."""
        return time.monotonic() - self._looked_at < LOOK_SECONDS

    def note(self, seen: Iterable[str], *, looked_at: float) -> None:
        """Remember a look that was sent at ``looked_at`` (monotonic)."""
        self._seen.update(seen)
        self._looked_at = max(looked_at, self._looked_at)
