"""The engine's commands to Redis: for entries, for tokens, and for the locks of fills.

The token of a tag is a random value, which never comes back. A counter would start again after an
eviction, and dead entries would be live again. Keys begin with the alias's ``KEY_PREFIX`` and a version::

    :rc1:token:catalog_product
    :rc1:entry:product_list:http://127.0.0.1:8000/products/?page=2
    :rc1:lock:product_list:http://127.0.0.1:8000/products/?page=2
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from redis import Redis

from readcache.storage.breaker import Breaker
from readcache.storage.connections import Command, Connections, PendingReplies
from readcache.storage.entries import TOKEN_BYTES, Entry, decode, encode

NAMESPACE = "rc1"
# When a process is killed during its fill, the lock expires before the waiting requests give up. So one
# of them fills, and not all at once.
LOCK_SECONDS = 3.0
# Replaces the lock after a response that cannot be stored, so that no request waits for an entry in vain.
HIT_FOR_MISS = b"-"
HIT_FOR_MISS_SECONDS = 1.0


class Lookup(NamedTuple):
    """The reply to one MGET. ``entry`` may be dead; it is ``None`` if the key holds no entry."""

    entry: Entry | None
    tokens: tuple[bytes | None, ...]
    is_live: bool
    lock: bytes | None = None


class Store:
    """Each method costs one round trip at most, and raises ``Outage`` while Redis cannot be used.

    A guarded or rotated token lives for ``lease_seconds``. ``every_tag`` returns all tags that an entry
    can have.
    """

    def __init__(
        self,
        client: Redis,
        *,
        key_prefix: str,
        lease_seconds: float,
        every_tag: Callable[[], Iterable[str]],
    ) -> None:
        self.client = client
        self._connections = Connections(client)
        self._start = f"{key_prefix}:{NAMESPACE}"
        self._lease_ms = max(1, round(lease_seconds * 1000))
        self._every_tag = every_tag
        self._token_keys: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.breaker = Breaker(self._flush_pending)

    def close(self) -> None:
        """End the connections and the prober of a store that is no longer used."""
        self.breaker.close()
        self._connections.close()

    def entry_key(self, key: str) -> str:
        return f"{self._start}:entry:{key}"

    def token_key(self, tag: str) -> str:
        return f"{self._start}:token:{tag}"

    def lock_key(self, key: str) -> str:
        return f"{self._start}:lock:{key}"

    def token_keys(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        keys = self._token_keys.get(tags)
        if keys is None:
            keys = self._token_keys[tags] = tuple(self.token_key(tag) for tag in tags)
        return keys

    def read(self, key: str, token_keys: Sequence[str]) -> Lookup:
        """The entry and the tokens of its tags, read at the same moment."""
        return self.finish_read(self.begin_read(key, token_keys))

    def begin_read(self, key: str, token_keys: Sequence[str]) -> PendingReplies:
        """The first half of ``read``, for a caller that works while Redis does."""
        command = ("MGET", self.entry_key(key), *token_keys)
        return self.breaker.call(lambda: self._connections.send(command))

    def finish_read(self, pending: PendingReplies) -> Lookup:
        (values,) = self.breaker.call(lambda: self._connections.receive(pending))
        return _lookup(values)

    def read_while_filled(self, key: str, token_keys: Sequence[str]) -> Lookup:
        """Like ``read``, with the value of the entry's lock."""
        command = ("MGET", self.entry_key(key), *token_keys, self.lock_key(key))
        ((*values, lock),) = self._call(command)
        return _lookup(values)._replace(lock=lock)

    def begin_fill(self, key: str, token_keys: Sequence[str]) -> tuple[Lookup, bytes | None]:
        """The entry, its tokens, and the lock, which is ``None`` if another request holds it.

        Creates missing tokens. Must be called before the first query of the fill, so that any later write
        changes a token. The lock is taken before the entry is read, so that the entry of its last holder
        is found.
        """
        lock = secrets.token_bytes(TOKEN_BYTES)
        locked, *_, (*values, found) = self._call(
            ("SET", self.lock_key(key), lock, "NX", "PX", round(LOCK_SECONDS * 1000)),
            *(("SET", token_key, secrets.token_bytes(TOKEN_BYTES), "NX") for token_key in token_keys),
            ("MGET", self.entry_key(key), *token_keys, self.lock_key(key)),
        )
        return _lookup(values)._replace(lock=found), lock if locked else None

    def save(self, key: str, entry: Entry, *, timeout_seconds: float, lock: bytes | None) -> None:
        """Store the entry and release the lock."""
        milliseconds = max(1, round(timeout_seconds * 1000))
        self._call(
            ("SET", self.entry_key(key), encode(entry), "PX", milliseconds), *self._unlocking(key, lock)
        )

    def unlock(self, key: str, lock: bytes | None) -> None:
        """Release the lock after a failed fill, so that another request can fill."""
        if lock is not None:
            self._call(*self._unlocking(key, lock))

    def set_hit_for_miss(self, key: str, lock: bytes | None) -> None:
        """Replace the lock after a response that cannot be stored, so that other requests do not wait."""
        if lock is not None:
            milliseconds = round(HIT_FOR_MISS_SECONDS * 1000)
            self._call(("EVAL", HIT_FOR_MISS_SCRIPT, 1, self.lock_key(key), lock, HIT_FOR_MISS, milliseconds))

    def guard(self, tags: Iterable[str]) -> None:
        """Before a write, let the tokens of these tags expire within one lease; create missing ones.

        In a transaction of Redis, so that no token can expire between its two commands.
        """
        commands: list[Command] = []
        for tag in tags:
            key = self.token_key(tag)
            commands.append(("SET", key, secrets.token_bytes(TOKEN_BYTES), "NX", "PX", self._lease_ms))
            commands.append(("PEXPIRE", key, self._lease_ms))
        self._call(("MULTI",), *commands, ("EXEC",))

    def rotate(self, tags: Iterable[str]) -> None:
        """After a write, replace the tokens of these tags. Every entry under the old tokens is dead."""
        self._call(*self._rotating(tags))

    def _rotating(self, tags: Iterable[str]) -> list[Command]:
        return [
            ("SET", self.token_key(tag), secrets.token_bytes(TOKEN_BYTES), "PX", self._lease_ms)
            for tag in tags
        ]

    def _flush_pending(self, tags: Iterable[str]) -> None:
        # The SET makes sure that Redis takes writes: a replica or a full server must keep the breaker open.
        self._connections.call(
            ("SET", f"{self._start}:probe", str(time.time()), "PX", self._lease_ms),
            # Every tag, because other processes may have written during the outage and may have ended
            # before they could send their rotations.
            *self._rotating({*self._every_tag(), *tags}),
        )

    def _unlocking(self, key: str, lock: bytes | None) -> list[Command]:
        # Compared first: after a fill that took longer than its lock, another request may hold the lock.
        return [("EVAL", UNLOCK_SCRIPT, 1, self.lock_key(key), lock)] if lock is not None else []

    def _call(self, *commands: Command) -> list[Any]:
        return self.breaker.call(lambda: self._connections.call(*commands))


UNLOCK_SCRIPT = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


HIT_FOR_MISS_SCRIPT = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then "
    "return redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end return 0"
)


def _lookup(values: Sequence[Any]) -> Lookup:
    stored, *found = values
    # A value of another length is no token: an entry can neither be live nor be stored under it.
    tokens = [token if token is not None and len(token) == TOKEN_BYTES else None for token in found]
    entry = decode(stored) if stored is not None else None
    return Lookup(entry, tuple(tokens), entry is not None and entry.is_live(tokens))
