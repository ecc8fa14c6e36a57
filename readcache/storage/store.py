"""The engine's commands to Redis: for entries, for tokens, and for the locks of fills.

The token of a tag is a random value, which never comes back. A counter would start again after an
eviction, and dead entries would be live again. ``scripts.py`` explains the marks of a tag. Keys begin
with the alias's ``KEY_PREFIX`` and a version::

    :rc1:token:catalog_product
    :rc1:marks:catalog_product
    :rc1:registry
    :rc1:entry:product_list:http://127.0.0.1:8000/products/?page=2
    :rc1:lock:product_list:http://127.0.0.1:8000/products/?page=2
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from readcache.storage.breaker import Breaker, Outage, PendingRotations
from readcache.storage.connections import Connections, PendingReplies, is_out_of_memory
from readcache.storage.entries import TOKEN_BYTES, Entry, encode
from readcache.storage.lookups import Lookup, lookup_of, lookup_with_lock
from readcache.storage.registry import Registry
from readcache.storage.rehearsal import rehearsal
from readcache.storage.replies import Command, Memory, history_of, memory_in
from readcache.storage.scripts import (
    BEGIN_FILL,
    DECLARE,
    GUARD,
    HIT_FOR_MISS,
    LONGEST_HIT_FOR_MISS_SECONDS,
    REPLACE_LOCK,
    ROTATE,
    UNLOCK,
    UNMARK,
    Script,
)

NAMESPACE = "rc1"
MARK_BYTES = 8
# When a process is killed during its fill, the lock expires before the waiting requests give up. So one
# of them fills, and not all at once.
LOCK_SECONDS = 3.0
# In the place of a tag among the pending rotations: of a write whose tags could not be looked up.
EVERY_TAG = "every table"
HIT_FOR_MISS_SECONDS = 1.0
# So many times as long as the fill took, within bounds.
HIT_FOR_MISS_FILLS = 10


class Store:
    """Each method costs one round trip at most, and raises ``Outage`` while Redis cannot be used.

    A guarded token lives for ``lease_seconds``, and a mark for ``longest_write_seconds``. A reader waits for
    ``read_seconds`` at most, and a writer for ``write_seconds``. ``declared_tags`` returns the tags of this
    process' views. No token is made for a tag that was declared less than ``declaration_seconds`` ago.
    """

    def __init__(
        self,
        client: Redis,
        *,
        key_prefix: str,
        lease_seconds: float,
        longest_write_seconds: float,
        read_seconds: float,
        write_seconds: float,
        declaration_seconds: float,
        declared_tags: Callable[[], frozenset[str]],
    ) -> None:
        self.client = client
        self._start = f"{key_prefix}:{NAMESPACE}"
        self._lease_ms = max(1, round(lease_seconds * 1000))
        self._read_seconds = read_seconds
        self._write_seconds = write_seconds
        self._mark_ms = max(1, round(longest_write_seconds * 1000))
        self._declaration_ms = round(declaration_seconds * 1000)
        self._declared_tags = declared_tags
        self.registry = Registry(declared_tags)
        self._registry_key = f"{self._start}:registry"
        self._token_keys: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._connections = Connections(client, probe_key=f"{self._start}:probe", rehearsal=self._rehearsal)
        self.breaker = Breaker(self._flush_pending)

    def memory(self) -> Memory:
        """Raises redis-py's errors, also for a command of the engine that is refused."""
        [information] = self._connections.call(("INFO", "memory"), seconds=self._write_seconds)
        return memory_in(information)

    def close(self) -> None:
        """End the connections and the prober of a store that is no longer used."""
        self.breaker.close()
        self._connections.close()

    def entry_key(self, key: str) -> str:
        return f"{self._start}:entry:{key}"

    def token_key(self, tag: str) -> str:
        return f"{self._start}:token:{tag}"

    def marks_key(self, tag: str) -> str:
        return f"{self._start}:marks:{tag}"

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
        return self.breaker.call(lambda: self._connections.send(command, seconds=self._read_seconds))

    def finish_read(self, sent: PendingReplies) -> Lookup:
        return self.breaker.call(lambda: self._finish_read(sent))

    def read_while_filled(self, key: str, token_keys: Sequence[str]) -> Lookup:
        """Like ``read``, with the value of the entry's lock."""
        command = ("MGET", self.entry_key(key), *token_keys, self.lock_key(key))
        return self.breaker.call(lambda: self._read_with_lock(command))

    def begin_fill(self, key: str, tags: Sequence[str]) -> tuple[Lookup, bytes | None]:
        """The entry, its tokens, and the lock, which is ``None`` if another request holds it.

        Creates missing tokens. Must be called before the first query of the fill, so that any later write
        changes a token. The lock is taken before the entry is read, so that the entry of its last holder
        is found. Declares the tags in the registry, and creates no token if one is new there.
        """
        lock = secrets.token_bytes(TOKEN_BYTES)
        arguments: list[str | bytes | int] = [
            *(self._lease_ms, self._mark_ms, lock, round(LOCK_SECONDS * 1000), new_mark()),
            self._declaration_ms,
            *(secrets.token_bytes(TOKEN_BYTES) for _ in tags),
            *tags,
        ]
        keys = [
            *(self.entry_key(key), self.lock_key(key), self._registry_key),
            *self._token_and_marks_keys(tags),
        ]

        def begin() -> Lookup:
            with _full_as_such():
                ((replication_id, is_declared, values),) = self._run(BEGIN_FILL, keys, arguments)
            lookup = lookup_with_lock(values, history_of(replication_id))
            return lookup._replace(is_declared=bool(is_declared))

        lookup = self.breaker.call(begin)
        # A script that was executed before its reply was lost finds its own lock when it is sent again.
        return lookup, lock if lookup.lock == lock else None

    def save(self, key: str, entry: Entry, *, timeout_seconds: float, lock: bytes | None) -> None:
        """Store the entry and release the lock."""
        milliseconds = max(1, round(timeout_seconds * 1000))
        commands = (
            ("SET", self.entry_key(key), encode(entry), "PX", milliseconds),
            *self._unlocking(key, lock),
        )

        def store() -> None:
            with _full_as_such():
                self._connections.call(*commands, seconds=self._read_seconds)

        self.breaker.call(store)

    def unlock(self, key: str, lock: bytes | None) -> None:
        """Release the lock after a failed fill, so that another request can fill. A hit-for-miss stays."""
        if lock not in (None, HIT_FOR_MISS):
            self._call(*self._unlocking(key, lock))

    def set_hit_for_miss(self, key: str, lock: bytes | None, *, after_seconds: float = 0.0) -> None:
        """Replace the lock after a response that cannot be stored, so that other requests do not wait.

        ``after_seconds`` is how long the fill took: requests do not wait for ten times as long. Each further
        response that cannot be stored renews it.
        """
        if lock is not None:
            seconds = min(HIT_FOR_MISS_FILLS * after_seconds, LONGEST_HIT_FOR_MISS_SECONDS)
            milliseconds = round(max(seconds, HIT_FOR_MISS_SECONDS) * 1000)
            self._call(("EVAL", REPLACE_LOCK, 1, self.lock_key(key), lock, HIT_FOR_MISS, milliseconds))

    def guard(self, tags: Iterable[str], mark: str) -> None:
        """Before a write, let no token of these tags outlive one lease until a rotation ends the mark."""
        keys = self._token_and_marks_keys(tags)
        try:
            self._write(GUARD, keys, [self._lease_ms, self._mark_ms, mark])
        except ResponseError as error:
            self._forget(keys, error)

    def rotate(self, tags: Iterable[str], *, ends: Iterable[str] = ()) -> None:
        """After a write, replace the tokens of these tags. Every entry under the old tokens is dead.

        ``ends`` names the marks that end with the rotation.
        """
        tags = tuple(tags)
        tokens = [secrets.token_bytes(TOKEN_BYTES) for _ in tags]
        keys = self._token_and_marks_keys(tags)
        try:
            self._write(ROTATE, keys, [self._lease_ms, len(tags), *tokens, *ends])
        except ResponseError as error:
            self._forget(keys, error)

    def look(self) -> None:
        """Learn which tags other processes have declared, unless the last look is young enough."""
        if not self.registry.is_fresh():
            self.breaker.call(self._look_now)

    def _look_now(self) -> None:
        began = time.monotonic()
        (found,) = self._connections.call_patiently(self._look, seconds=self._write_seconds)
        self._note(found, began)

    @property
    def _look(self) -> Command:
        return ("ZRANGE", self._registry_key, 0, -1)

    def _note(self, found: list[bytes], looked_at: float) -> None:
        self.registry.note((name.decode(errors="replace") for name in found), looked_at=looked_at)

    def unmark(self, tags: Iterable[str], mark: str) -> None:
        """End the mark of a transaction that was certainly rolled back."""
        self._write(UNMARK, [self.marks_key(tag) for tag in tags], [mark])

    def _forget(self, keys: Sequence[str], error: ResponseError) -> None:
        """Delete the tokens and the marks, which Redis still does when it is out of memory.

        The tags are rotated by that, and their next begin-fill treats them as guarded.
        """
        if not is_out_of_memory(error):
            self.breaker.open(error)
            raise Outage from error
        self._call(("DEL", *keys))

    def _write(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> None:
        """Look at the registry in the same round trip where a look is due.

        Raises ``ResponseError`` too, which does not open the breaker.
        """
        if self.breaker.is_open:
            raise Outage
        looks = () if self.registry.is_fresh() else (self._look,)
        began = time.monotonic()
        try:
            _, *looked = self._run(
                script,
                keys,
                arguments,
                *looks,
                by=self._connections.call_patiently,
                seconds=self._write_seconds,
            )
            for found in looked:
                self._note(found, began)
        except ResponseError:
            raise
        except (RedisError, OSError) as error:
            self.breaker.open(error)
            raise Outage from error

    def _run(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[str | bytes | int],
        *others: Command,
        by: Callable[..., list[Any]] | None = None,
        seconds: float | None = None,
    ) -> list[Any]:
        """The replies of the script, and of the other commands after it. Raises redis-py's errors."""
        call = by or self._connections.call
        seconds = seconds or self._read_seconds
        deadline = time.monotonic() + seconds
        rest = (len(keys), *keys, *arguments)
        try:
            return call(("EVALSHA", script.sha, *rest), *others, seconds=seconds)
        except NoScriptError:
            seconds = deadline - time.monotonic()
            return call(("EVAL", script.text, *rest), *others, seconds=seconds)

    def _read_once(self, *commands: Command) -> list[Any]:
        return self._connections.call(*commands, seconds=self._read_seconds)

    def _rehearsal(self) -> tuple[Command, ...]:
        """The last command declares the tags of this process."""
        tags = sorted(self._declared_tags())
        keys = (self._registry_key, *self._token_and_marks_keys(tags))
        declare: Command = ("EVAL", DECLARE.text, len(keys), *keys, *tags)
        return (*rehearsal(f"{self._start}:rehearsal", lease_ms=self._lease_ms), declare)

    def _flush_pending(self, pending: PendingRotations) -> None:
        # A replica or a server that refuses a command must keep the breaker open.
        self._connections.rehearse(seconds=self._write_seconds)
        self._look_now()
        pending = {tag: ends for tag, ends in pending.items() if tag != EVERY_TAG}
        for tag, ends in pending.items():
            self._rotate_now([tag], ends)
        # Every tag, because other processes may have written during the outage and may have ended
        # before they could send their rotations.
        others = self.registry.tags() - pending.keys()
        self._rotate_now([*others], ())
        # As after a guard: a writer whose guard failed may be between its COMMIT and its rotation.
        if tags := [*others, *pending]:
            self._read_once(*(("PEXPIRE", self.token_key(tag), self._lease_ms) for tag in tags))

    def _rotate_now(self, tags: Sequence[str], ends: Iterable[str]) -> None:
        """Raises redis-py's errors, also while the breaker is open."""
        if tags:
            tokens = [secrets.token_bytes(TOKEN_BYTES) for _ in tags]
            self._run(ROTATE, self._token_and_marks_keys(tags), [self._lease_ms, len(tags), *tokens, *ends])

    def _token_and_marks_keys(self, tags: Iterable[str]) -> list[str]:
        return [key for tag in tags for key in (self.token_key(tag), self.marks_key(tag))]

    def _finish_read(self, sent: PendingReplies) -> Lookup:
        (reply,), history = self._connections.receive(sent)
        return lookup_of(reply, history)

    def _read_with_lock(self, command: Command) -> Lookup:
        sent = self._connections.send(command, seconds=self._read_seconds)
        (reply,), history = self._connections.receive(sent)
        return lookup_with_lock(reply, history)

    def _unlocking(self, key: str, lock: bytes | None) -> list[Command]:
        return [("EVAL", UNLOCK, 1, self.lock_key(key), lock)] if lock is not None else []

    def _call(self, *commands: Command) -> list[Any]:
        return self.breaker.call(lambda: self._read_once(*commands))


class Full(Outage):
    """Redis is out of memory: nothing can be stored, but stored entries can be read."""

    detail = "out-of-memory"


@contextmanager
def _full_as_such() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:
        if is_out_of_memory(error):
            raise Full from error
        raise


def new_mark() -> str:
    """A random name for the mark of one transaction."""
    return secrets.token_hex(MARK_BYTES)
