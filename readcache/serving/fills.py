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

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException

from readcache.conf import configuration
from readcache.declarations import ReadCache
from readcache.invalidation import rotations, watch
from readcache.invalidation.recording import recording_reads
from readcache.serving.undeclared import UndeclaredRead, find_undeclared_read, report
from readcache.storage.breaker import Outage
from readcache.storage.current import store
from readcache.storage.entries import Entry, make_entry
from readcache.storage.store import HIT_FOR_MISS, Lookup, Store

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


def serve(declaration: ReadCache, key: str, compute: Compute, lookup: Lookup | None) -> Served:
    """Serve the resource of this key. ``lookup`` is the result of an earlier read, if there was one.

    ``compute`` is called at most once, with the ``Cache-Status`` of a response that it raises.
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
            # The snapshot of the transaction may be older than the tokens.
            return _bypass(declaration, compute, "fwd=bypass; detail=transaction")
        forward = "stale" if lookup.entry else "uri-miss"
        lookup, lock = _wait_or_claim(chosen, key, token_keys)
    except Outage:
        return _bypass(declaration, compute, "fwd=bypass; detail=outage")
    if lookup.is_live:
        return Served(lookup.entry, None, f"fwd={forward}; collapsed")
    return _Fill(chosen, declaration, key, lookup.tokens, lock).run(compute, f"fwd={forward}")


def hit_status(entry: Entry, declaration: ReadCache, now: int) -> str:
    ttl_ms = entry.filled_at_ms + declaration.timeout_seconds * 1000 - now
    return f"hit; ttl={max(0, int(ttl_ms)) // 1000}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _bypass(declaration: ReadCache, compute: Compute, status: str) -> Served:
    computed, undeclared = _compute_recorded(declaration, compute, status)
    # In strict mode also here, because most tests run inside a transaction.
    if undeclared and configuration().strict:
        report(declaration, undeclared)
    entry = None
    if computed.body is not None:
        entry = make_entry(computed.body, tokens=(), now_ms=now_ms())
    return Served(entry, computed, status)


def _compute_recorded(
    declaration: ReadCache, compute: Compute, status: str
) -> tuple[Computed, UndeclaredRead | None]:
    with recording_reads() as tables:
        computed = compute(status)
    undeclared = find_undeclared_read(
        declaration,
        tables=tables,
        read_session=computed.read_session,
        unknown_parameters=computed.unknown_parameters,
    )
    return computed, undeclared


def _wait_or_claim(chosen: Store, key: str, token_keys: tuple[str, ...]) -> tuple[Lookup, bytes | None]:
    """A live entry that another request has filled, or the lock and the tokens to fill it under."""
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
    """Whether another request has just found that the response cannot be stored."""
    return lookup.lock == HIT_FOR_MISS


@dataclass(frozen=True, slots=True)
class _Fill:
    """The fill of one entry. ``lock`` is ``None`` if this request has waited too long for another fill."""

    store: Store
    declaration: ReadCache
    key: str
    tokens: tuple[bytes | None, ...]
    lock: bytes | None

    def run(self, compute: Compute, status: str) -> Served:
        try:
            computed, undeclared = _compute_recorded(self.declaration, compute, status)
            if undeclared:
                report(self.declaration, undeclared)
        except (Http404, PermissionDenied, APIException):
            self._let_others_compute()
            raise
        except BaseException:
            with suppress(Outage):
                self.store.unlock(self.key, self.lock)
            raise
        if computed.body is None:
            self._let_others_compute()
            return Served(None, computed, status)
        # A token is None if its key holds a foreign value.
        tokens = [token for token in self.tokens if token is not None]
        entry = make_entry(computed.body, tokens=tokens, now_ms=now_ms())
        detail = undeclared.detail if undeclared else self._detail_of_missing_tokens(tokens)
        if detail:
            self._let_others_compute()
            return Served(entry, computed, f"{status}; detail={detail}")
        return Served(entry, computed, f"{status}; {self._save(entry)}")

    def _detail_of_missing_tokens(self, tokens: list[bytes]) -> str:
        if len(tokens) == len(self.tokens):
            return ""
        # Replaces the foreign values, so that the next request can store its entry.
        rotations.rotate_tags(frozenset(self.declaration.tags))
        return "token-missing"

    def _save(self, entry: Entry) -> str:
        timeout_seconds = self.declaration.timeout_seconds
        try:
            self.store.save(self.key, entry, timeout_seconds=timeout_seconds, lock=self.lock)
        except Outage:
            return "detail=outage"
        return "stored"

    def _let_others_compute(self) -> None:
        """Requests that wait for this entry would wait in vain."""
        with suppress(Outage):
            self.store.set_hit_for_miss(self.key, self.lock)
