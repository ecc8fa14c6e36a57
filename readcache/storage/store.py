"""The engine's words to Redis: entries, tokens and the locks of fills.

A tag's token is a random value. Counters are not used: an evicted counter restarts and revives
dead entries; a random token never comes back. Keys begin with the alias's ``KEY_PREFIX`` and a
version mark::

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
# A filler that was killed frees the others when its lock runs out: before they have waited too long,
# so that one of them fills and not all.
LOCK_SECONDS = 3.0
# In a lock's place after an answer that is not stored: who waits for it would wait in vain.
HIT_FOR_MISS = b"-"
HIT_FOR_MISS_SECONDS = 1.0


class Lookup(NamedTuple):
    """What one MGET said. ``entry`` is there, dead or live, if the key holds one."""

    entry: Entry | None
    tokens: tuple[bytes | None, ...]
    is_live: bool
    lock: bytes | None = None


class Store:
    """Every method is at most one round trip, and raises ``Outage`` while Redis cannot be used.

    ``lease_seconds`` is how long a guarded or rotated token lives. ``every_tag`` gives all tags that
    any entry can have.
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
        """End its connections and its prober, for a store that is not used any more."""
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
        """The entry and the tokens of its tags, read in one step."""
        return self.finish_read(self.begin_read(key, token_keys))

    def begin_read(self, key: str, token_keys: Sequence[str]) -> PendingReplies:
        """Like ``read``, for a caller who has something to do while Redis works."""
        command = ("MGET", self.entry_key(key), *token_keys)
        return self.breaker.call(lambda: self._connections.send(command))

    def finish_read(self, sent: PendingReplies) -> Lookup:
        (values,) = self.breaker.call(lambda: self._connections.receive(sent))
        return _lookup(values)

    def read_while_filled(self, key: str, token_keys: Sequence[str]) -> Lookup:
        """Like ``read``, and whether somebody fills the entry."""
        command = ("MGET", self.entry_key(key), *token_keys, self.lock_key(key))
        ((*values, lock),) = self._call(command)
        return _lookup(values)._replace(lock=lock)

    def begin_fill(self, key: str, token_keys: Sequence[str]) -> tuple[Lookup, bytes | None]:
        """Entry and tokens, made where they were missing, and the lock; ``None`` if another has it.

        To be called before the fill's first query: what is written after that changes a token. The
        lock comes first: whoever had it before has stored the entry that is read here.
        """
        lock = secrets.token_bytes(TOKEN_BYTES)
        locked, *_, (*values, found) = self._call(
            ("SET", self.lock_key(key), lock, "NX", "PX", round(LOCK_SECONDS * 1000)),
            *(("SET", token_key, secrets.token_bytes(TOKEN_BYTES), "NX") for token_key in token_keys),
            ("MGET", self.entry_key(key), *token_keys, self.lock_key(key)),
        )
        return _lookup(values)._replace(lock=found), lock if locked else None

    def save(self, key: str, entry: Entry, *, timeout_seconds: float, lock: bytes | None) -> None:
        """Store the entry and give the lock back."""
        milliseconds = max(1, round(timeout_seconds * 1000))
        self._call(
            ("SET", self.entry_key(key), encode(entry), "PX", milliseconds), *self._unlocking(key, lock)
        )

    def unlock(self, key: str, lock: bytes | None) -> None:
        """Give the lock back after a fill that failed: another may fill."""
        if lock is not None:
            self._call(*self._unlocking(key, lock))

    def set_hit_for_miss(self, key: str, lock: bytes | None) -> None:
        """Give the lock back after an answer that is not stored: nobody need wait for another's."""
        if lock is not None:
            milliseconds = round(HIT_FOR_MISS_SECONDS * 1000)
            self._call(("EVAL", HIT_FOR_MISS_SCRIPT, 1, self.lock_key(key), lock, HIT_FOR_MISS, milliseconds))

    def guard(self, tags: Iterable[str]) -> None:
        """Make the tags' tokens perishable, before a write.

        In one transaction of Redis, in which no token runs out between its two commands.
        """
        commands: list[Command] = []
        for tag in tags:
            key = self.token_key(tag)
            commands.append(("SET", key, secrets.token_bytes(TOKEN_BYTES), "NX", "PX", self._lease_ms))
            commands.append(("PEXPIRE", key, self._lease_ms))
        self._call(("MULTI",), *commands, ("EXEC",))

    def rotate(self, tags: Iterable[str]) -> None:
        """Replace the tags' tokens, after a write: every entry under the old ones is dead."""
        self._call(*self._rotating(tags))

    def _rotating(self, tags: Iterable[str]) -> list[Command]:
        return [
            ("SET", self.token_key(tag), secrets.token_bytes(TOKEN_BYTES), "PX", self._lease_ms)
            for tag in tags
        ]

    def _flush_pending(self, tags: Iterable[str]) -> None:
        # A write, so that a read-only or full Redis does not count as back.
        self._connections.call(
            ("SET", f"{self._start}:probe", str(time.time()), "PX", self._lease_ms),
            # Others may have written while Redis was away, and not have paid yet, or have ended.
            *self._rotating({*self._every_tag(), *tags}),
        )

    def _unlocking(self, key: str, lock: bytes | None) -> list[Command]:
        # Only one's own: a filler that took longer than its lock must not take another's away.
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
    # Whatever else is under a token's key is no token: nothing is live under it, nor stored.
    tokens = [token if token is not None and len(token) == TOKEN_BYTES else None for token in found]
    entry = decode(stored) if stored is not None else None
    return Lookup(entry, tuple(tokens), entry is not None and entry.is_live(tokens))
