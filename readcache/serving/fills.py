"""Serving one resource: from its entry, from another's fill, or by filling it.

Of many requests that miss one entry at once, across processes, one fills and the others wait for
it, a bounded time, and then help themselves. The lock only saves work: an entry's tokens make it
right or dead, whoever stored it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException

from readcache.conf import configuration
from readcache.declarations import ReadCache
from readcache.invalidation import rotations, watch
from readcache.invalidation.recording import recording_reads
from readcache.storage.breaker import Outage
from readcache.storage.current import store
from readcache.storage.entries import Entry, make_entry
from readcache.storage.store import HIT_FOR_MISS, Lookup, Store

logger = logging.getLogger(__name__)

SHORTEST_POLL_SECONDS = 0.002
LONGEST_POLL_SECONDS = 0.025

_warned: set[tuple[str, str]] = set()


class Undeclared(Exception):
    """A view read what its ReadCache does not know of: its entries would go stale, or be another's."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What the view said. ``body`` is its JSON, or ``None`` for an answer that is not to be stored."""

    response: HttpResponseBase
    body: bytes | None
    looked_at_session: bool = False
    unknown_parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Served:
    """``computed`` is ``None`` where an entry was there; ``entry`` is ``None`` for what has no body."""

    entry: Entry | None
    computed: Computed | None
    status: str


def serve(
    declaration: ReadCache, key: str, compute: Callable[[str], Computed], lookup: Lookup | None
) -> Served:
    """``compute`` is called once or not at all, with why it is: the Cache-Status if it raises.

    ``lookup`` is what was read already, if anything.
    """
    chosen = store()
    if watch.has_written():
        return _bypass(declaration, compute, "fwd=bypass; detail=uncommitted-write")
    try:
        token_keys = chosen.token_keys(declaration.tags)
        lookup = lookup or chosen.read(key, token_keys)
        if lookup.is_live and lookup.entry:
            return Served(lookup.entry, None, hit_status(lookup.entry, declaration, now_ms()))
        if watch.in_transaction():
            # Its view of the data may be older than the tokens are.
            return _bypass(declaration, compute, "fwd=bypass; detail=transaction")
        forward = "stale" if lookup.entry else "uri-miss"
        lookup, lock = _claim(chosen, key, token_keys)
    except Outage:
        return _bypass(declaration, compute, "fwd=bypass; detail=outage")
    if lookup.is_live:
        return Served(lookup.entry, None, f"fwd={forward}; collapsed")
    fill = _Fill(chosen, declaration, key, lookup.tokens, lock)
    return fill.run(compute, f"fwd={forward}")


def hit_status(entry: Entry, declaration: ReadCache, now: int) -> str:
    ttl_ms = entry.filled_at_ms + declaration.timeout_seconds * 1000 - now
    return f"hit; ttl={max(0, int(ttl_ms)) // 1000}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _bypass(declaration: ReadCache, compute: Callable[[str], Computed], status: str) -> Served:
    with recording_reads() as tables:
        computed = compute(status)
    # In a test's transaction, nothing is stored and all is seen.
    if configuration().strict and (undeclared := _undeclared(declaration, tables, computed)):
        _report(declaration, undeclared)
    entry = None
    if computed.body is not None:
        entry = make_entry(computed.body, tokens=(), now_ms=now_ms())
    return Served(entry, computed, status)


def _claim(chosen: Store, key: str, token_keys: tuple[str, ...]) -> tuple[Lookup, bytes | None]:
    """The right to fill, with the tokens to fill under; or a live entry that another has filled."""
    deadline = time.monotonic() + configuration().wait_seconds
    pause = SHORTEST_POLL_SECONDS
    while True:
        lookup, lock = chosen.begin_fill(key, token_keys)
        if lookup.is_live:
            chosen.unlock(key, lock)
            return lookup, None
        if lock or _is_hit_for_miss(lookup) or time.monotonic() >= deadline:
            return lookup, lock
        while time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL_SECONDS)
            lookup = chosen.read_while_filled(key, token_keys)
            if lookup.is_live or _is_hit_for_miss(lookup):
                return lookup, None
            if lookup.lock is None:
                break


def _is_hit_for_miss(lookup: Lookup) -> bool:
    """Whether the answer that others wait for was found out not to be stored."""
    return lookup.lock == HIT_FOR_MISS


@dataclass(frozen=True, slots=True)
class _Fill:
    """The right to fill one entry. ``lock`` is ``None`` after a wait that was too long."""

    store: Store
    declaration: ReadCache
    key: str
    tokens: tuple[bytes | None, ...]
    lock: bytes | None

    def run(self, compute: Callable[[str], Computed], status: str) -> Served:
        try:
            with recording_reads() as tables:
                computed = compute(status)
            undeclared = _undeclared(self.declaration, tables, computed)
            if undeclared:
                _report(self.declaration, undeclared)
        except (Http404, PermissionDenied, APIException):
            self._give_up()
            raise
        except BaseException:
            with suppress(Outage):
                self.store.unlock(self.key, self.lock)
            raise
        if computed.body is None:
            return Served(None, computed, status + self._give_up())
        # A token is missing where its key holds something foreign: nothing can be stored then.
        tokens = [token for token in self.tokens if token is not None]
        entry = make_entry(computed.body, tokens=tokens, now_ms=now_ms())
        if undeclared:
            return Served(entry, computed, status + self._give_up(f"; detail={undeclared.detail}"))
        if len(tokens) < len(self.tokens):
            # Replaces what is under a token's key and is none.
            rotations.rotate_tags(frozenset(self.declaration.tags))
            return Served(entry, computed, status + self._give_up("; detail=token-missing"))
        return Served(entry, computed, status + self._save(entry))

    def _save(self, entry: Entry) -> str:
        timeout_seconds = self.declaration.timeout_seconds
        try:
            self.store.save(self.key, entry, timeout_seconds=timeout_seconds, lock=self.lock)
        except Outage:
            return "; detail=outage"
        return "; stored"

    def _give_up(self, detail: str = "") -> str:
        with suppress(Outage):
            self.store.set_hit_for_miss(self.key, self.lock)
        return detail


class _Reading(NamedTuple):
    """``detail`` is for Cache-Status; ``what`` and ``remedy`` are for people."""

    detail: str
    what: str
    remedy: str


def _undeclared(declaration: ReadCache, tables: set[str], computed: Computed) -> _Reading | None:
    """What of the view's reading keeps its answer from being stored."""
    if others := tables - set(declaration.tags):
        return _Reading(
            "undeclared-table",
            f"the tables {', '.join(sorted(others))}",
            "Add the models to depends_on, or do not read them.",
        )
    if computed.looked_at_session:
        return _Reading("session", "the session", "Do not read it, or cache nothing.")
    if computed.unknown_parameters:
        return _Reading(
            "undeclared-parameter",
            f"of the query {', '.join(sorted(computed.unknown_parameters))}",
            "Name them in its parameters.",
        )
    return None


def _report(declaration: ReadCache, reading: _Reading) -> None:
    message = (
        f"A view with the read cache {declaration.prefix!r} read {reading.what}, which it does not declare. "
        f"Its answer was not stored. {reading.remedy}"
    )
    if configuration().strict:
        raise Undeclared(message)
    if (declaration.prefix, reading.what) not in _warned:
        _warned.add((declaration.prefix, reading.what))
        logger.warning(message)
