"""What an MGET finds: an entry, the tokens of its tags, and whether the entry may be served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from readcache.storage.entries import TOKEN_BYTES, Entry, decode


class Lookup(NamedTuple):
    """The reply to one MGET. ``entry`` may be dead; it is ``None`` if the key holds no entry.

    ``is_declared`` is ``False`` where a tag was declared a moment ago: a write may not be seen yet.
    """

    entry: Entry | None
    tokens: tuple[bytes | None, ...]
    is_live: bool
    history: bytes
    lock: bytes | None = None
    is_declared: bool = True


def lookup_of(values: Sequence[bytes | None], history: bytes) -> Lookup:
    stored, *found = values
    # A value of another length is no token: an entry can neither be live nor be stored under it.
    tokens = [token if token is not None and len(token) == TOKEN_BYTES else None for token in found]
    entry = decode(stored) if stored is not None else None
    is_live = entry is not None and entry.is_live(tokens, history)
    return Lookup(entry, tuple(tokens), is_live, history)


def lookup_with_lock(values: Sequence[bytes | None], history: bytes) -> Lookup:
    *others, lock = values
    return lookup_of(others, history)._replace(lock=lock)
