"""Serves one resource: from its entry, from another request's fill, or by filling the entry.

Of many requests that miss the same entry, in all processes, one fills it. The others wait for the entry
for a limited time, and then compute the response themselves. The lock only saves work. What makes an entry
right or dead is its tokens, whoever stored it.
"""

from __future__ import annotations

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
from readcache.invalidation.recording import RecordedReads, recording_reads, take_early_reads
from readcache.serving.undeclared import (
    UndeclaredRead,
    find_undeclared_read,
    find_untimely_read,
    report,
    warn,
)
from readcache.storage.breaker import Outage
from readcache.storage.current import store
from readcache.storage.entries import Entry, make_entry
from readcache.storage.lookups import Lookup
from readcache.storage.scripts import HIT_FOR_MISS
from readcache.storage.store import Store

SHORTEST_POLL_SECONDS = 0.002
LONGEST_POLL_SECONDS = 0.025


@dataclass(frozen=True, slots=True)
class Computed:
    """The response of the view. ``body`` is its JSON, or ``None`` if the response cannot be stored."""

    response: HttpResponseBase
    body: bytes | None
    read_session: bool = False
    unknown_parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Served:
    """What to respond with. ``status`` is for ``Cache-Status``.

    ``computed`` is ``None`` if the entry was found. ``entry`` is ``None`` if the response has no body that
    could be stored.
    """

    entry: Entry | None
    computed: Computed | None
    status: str


Compute = Callable[[str], Computed]


class Found(NamedTuple):
    """The result of an earlier read, and the tables that the request had read before it."""

    key: str
    lookup: Lookup
    early_tables: frozenset[str]


def serve(declaration: ReadCache, key: str, compute: Compute, found: Found | None) -> Served:
    """Serve the resource of this key. ``found`` is the result of an earlier read, if there was one.

    ``compute`` is called at most once, with the ``Cache-Status`` of a response that it raises.
    """
    chosen = store()
    if watch.has_written():
        return _bypass(declaration, compute, "fwd=bypass; detail=uncommitted-write")
    try:
        early = found.early_tables if found else take_early_reads()
        first = found.lookup if found else chosen.read(key, chosen.token_keys(declaration.tags))
        lookup = first
        if lookup.is_live and lookup.entry:
            return Served(lookup.entry, None, hit_status(lookup.entry, declaration, now_ms()))
        if watch.in_transaction():
            # The snapshot of the transaction may be older than the tokens.
            return _bypass(declaration, compute, "fwd=bypass; detail=transaction")
        forward = "stale" if lookup.entry else "uri-miss"
        lookup, lock = _wait_or_claim(chosen, key, declaration.tags)
    except Outage as outage:
        return _bypass(declaration, compute, f"fwd=bypass; detail={outage.detail}")
    if lookup.is_live:
        return Served(lookup.entry, None, f"fwd={forward}; collapsed")
    if (lookup.tokens, lookup.history) != (first.tokens, first.history):
        # Otherwise the reads since the first lookup are younger than the tokens.
        early |= take_early_reads()
    early &= frozenset(declaration.tags)
    return _Fill(chosen, declaration, key, lookup, lock, early).run(compute, f"fwd={forward}")


def hit_status(entry: Entry, declaration: ReadCache, now: int) -> str:
    ttl_ms = entry.filled_at_ms + declaration.timeout_seconds * 1000 - now
    return f"hit; ttl={max(0, int(ttl_ms)) // 1000}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _bypass(declaration: ReadCache, compute: Compute, status: str) -> Served:
    computed, _, undeclared = _compute_recorded(declaration, compute, status)
    # In strict mode also here, because most tests run inside a transaction.
    if undeclared and configuration().strict:
        report(declaration, undeclared)
    entry = None
    if computed.body is not None:
        entry = make_entry(computed.body, tokens=(), now_ms=now_ms())
    return Served(entry, computed, status)


def _compute_recorded(
    declaration: ReadCache, compute: Compute, status: str
) -> tuple[Computed, RecordedReads, UndeclaredRead | None]:
    with recording_reads() as reads:
        computed = compute(status)
    undeclared = find_undeclared_read(
        declaration,
        tables=reads.tables,
        read_session=computed.read_session,
        unknown_parameters=computed.unknown_parameters,
    )
    return computed, reads, undeclared


def _wait_or_claim(chosen: Store, key: str, tags: tuple[str, ...]) -> tuple[Lookup, bytes | None]:
    """A live entry that another request has filled, or the lock and the tokens to fill it under.

    A hit-for-miss is returned as the lock: this request renews it, or ends it by storing an entry.
    """
    token_keys = chosen.token_keys(tags)
    deadline = time.monotonic() + configuration().wait_seconds
    pause = SHORTEST_POLL_SECONDS
    while True:
        lookup, lock = chosen.begin_fill(key, tags)
        if lookup.is_live:
            chosen.unlock(key, lock)
            return lookup, None
        if _is_hit_for_miss(lookup):
            return lookup, HIT_FOR_MISS
        if lock or not lookup.is_declared or time.monotonic() >= deadline:
            return lookup, lock
        while time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL_SECONDS)
            lookup = chosen.read_while_filled(key, token_keys)
            if _is_hit_for_miss(lookup):
                return lookup, HIT_FOR_MISS
            if lookup.is_live:
                return lookup, None
            if lookup.lock is None:
                break


def _is_hit_for_miss(lookup: Lookup) -> bool:
    """Whether another request has just found that the response cannot be stored."""
    return lookup.lock == HIT_FOR_MISS


@dataclass(frozen=True, slots=True)
class _Fill:
    """The fill of one entry. ``lock`` is ``None`` if this request has waited too long for another fill.

    ``early_tables`` are the declared tables that the request had read before the tokens.
    """

    store: Store
    declaration: ReadCache
    key: str
    lookup: Lookup
    lock: bytes | None
    early_tables: frozenset[str]

    def run(self, compute: Compute, status: str) -> Served:
        began = time.monotonic()
        try:
            computed, reads, undeclared = _compute_recorded(self.declaration, compute, status)
            if undeclared:
                report(self.declaration, undeclared)
        except (Http404, PermissionDenied, APIException):
            self._let_others_compute(began)
            raise
        except BaseException:
            with suppress(Outage):
                self.store.unlock(self.key, self.lock)
            raise
        if computed.body is None:
            self._let_others_compute(began)
            return Served(None, computed, status)
        # A token is None if its key holds a foreign value.
        tokens = [token for token in self.lookup.tokens if token is not None]
        entry = make_entry(computed.body, tokens=tokens, history=self.lookup.history, now_ms=now_ms())
        detail = undeclared.detail if undeclared else self._detail_of_missing_tokens(tokens)
        if detail := detail or self._detail_of_untimely_reads(reads):
            self._let_others_compute(began)
            return Served(entry, computed, f"{status}; detail={detail}")
        return Served(entry, computed, f"{status}; {self._save(entry)}")

    def _detail_of_missing_tokens(self, tokens: list[bytes]) -> str:
        if not self.lookup.is_declared:
            # A process that writes may not have seen the declaration yet.
            return "new-declaration"
        if len(tokens) == len(self.lookup.tokens):
            return ""
        # Replaces the foreign values, so that the next request can store its entry.
        rotations.rotate_tags(frozenset(self.declaration.tags))
        return "token-missing"

    def _detail_of_untimely_reads(self, reads: RecordedReads) -> str:
        untimely = find_untimely_read(self.declaration, early=self.early_tables, by_helpers=reads.by_helpers)
        if untimely is None:
            return ""
        warn(self.declaration, untimely)
        return untimely.detail

    def _save(self, entry: Entry) -> str:
        timeout_seconds = self.declaration.timeout_seconds
        try:
            self.store.save(self.key, entry, timeout_seconds=timeout_seconds, lock=self.lock)
        except Outage as outage:
            return f"detail={outage.detail}"
        return "stored"

    def _let_others_compute(self, began: float) -> None:
        """Requests that wait for this entry would wait in vain."""
        with suppress(Outage):
            self.store.set_hit_for_miss(self.key, self.lock, after_seconds=time.monotonic() - began)
