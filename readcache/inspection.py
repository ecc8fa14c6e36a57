"""Finds the stored entries, live and dead."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from readcache.declarations import ReadCache, declarations
from readcache.discovery import import_views
from readcache.storage.current import store
from readcache.storage.entries import Entry, decode
from readcache.storage.replies import history_of
from readcache.storage.store import Store

SCAN_STEP = 1_000
GLOB = re.compile(r"[*?\[\]\\]")
READ_STEP = 100


@dataclass(frozen=True, kw_only=True)
class StoredEntry:
    """``key`` is the whole key in Redis. ``entry`` is ``None`` if the value is not an entry."""

    key: str
    tags: tuple[str, ...]
    entry: Entry | None
    age_seconds: float
    ttl_seconds: float
    stored_bytes: int
    inflated_bytes: int
    is_live: bool


def stored_entries() -> Iterator[StoredEntry]:
    """All entries, in the order of SCAN. Raises redis-py's errors."""
    import_views()
    chosen = store()
    keys = entry_keys(chosen, "")
    while batch := list(islice(keys, READ_STEP)):
        yield from _read(chosen, batch)


def stored_entry(key: str) -> StoredEntry | None:
    """The entry of a key; the part that all entries share may be left out. Raises redis-py's errors."""
    import_views()
    chosen = store()
    whole = key if key.startswith(chosen.entry_key("")) else chosen.entry_key(key)
    if not chosen.client.exists(whole):
        return None
    return next(iter(_read(chosen, [whole])))


def entry_keys(chosen: Store, start: str) -> Iterator[str]:
    """The keys of the entries that begin with ``start``. Raises redis-py's errors."""
    # KEY_PREFIX may contain characters of a pattern, which would match the keys of other sites.
    pattern = GLOB.sub(r"\\\g<0>", chosen.entry_key(start)) + "*"
    seen: set[bytes] = set()
    for key in chosen.client.scan_iter(match=pattern, count=SCAN_STEP):
        if key not in seen:
            seen.add(key)
            yield key.decode()


def _read(chosen: Store, keys: Sequence[str]) -> Iterator[StoredEntry]:
    pipeline = chosen.client.pipeline(transaction=False)
    owners = [_declaration_of(chosen, key) for key in keys]
    for key, owner in zip(keys, owners, strict=True):
        pipeline.mget([key, *(chosen.token_keys(owner.tags) if owner else ())])
        pipeline.pttl(key)
    answers = iter(pipeline.execute())
    history = history_of(chosen.client.info("replication")["master_replid"].encode())
    now_ms = time.time() * 1000
    for key, owner in zip(keys, owners, strict=True):
        (stored, *tokens), ttl_ms = next(answers), next(answers)
        entry = decode(stored) if stored else None
        yield StoredEntry(
            key=key,
            tags=owner.tags if owner else (),
            entry=entry,
            age_seconds=(now_ms - entry.filled_at_ms) / 1000 if entry else 0.0,
            ttl_seconds=max(0, ttl_ms) / 1000,
            stored_bytes=len(stored or b""),
            inflated_bytes=entry.body_length if entry else 0,
            is_live=bool(entry and tokens and entry.is_live(tokens, history)),
        )


def _declaration_of(chosen: Store, key: str) -> ReadCache | None:
    prefix = key.removeprefix(chosen.entry_key("")).partition(":")[0]
    return next((each for each in declarations() if each.prefix == prefix), None)
