"""Connections for the engine's commands, with one deadline for a whole exchange.

redis-py opens them, because it knows TLS, passwords and databases. Its work around every command (the lock
of its pool, its poll for stray bytes, its hooks for observers) takes a third of a round trip, and the engine
does without it. A connection is used again only after its replies were read whole and have the shapes that
Redis gives, so no reply is taken for that to another command. Sending and receiving are two calls, so that
the caller can work while Redis works.

Each connection knows the *history* of its server: the replication id, which changes where the server
may have forgotten something (a restart, a promotion). It is confirmed with the next commands when
the last confirmation is a second old: ``INFO replication`` must say "master", and a write that
changes nothing must be accepted, since a server that refuses writes misses rotations.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import hiredis
from redis import Redis
from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from readcache.storage.opening import opened, seconds_until
from readcache.storage.replies import Command, checked, history_in

CONFIRMED_FOR_SECONDS = 1.0
RECEIVED_AT_ONCE_BYTES = 65_536
# How much longer than its deadline an exchange may take.
TOLERATED_SECONDS = 0.01
# A connection that is out of step is as good as lost.
LOST = (RedisConnectionError, InvalidResponse)
_INCOMPLETE = object()
# Its stub has tuples of one word only.
_pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]


class Connection:
    """An open connection, with the history that its server confirmed at ``confirmed_at`` (monotonic)."""

    __slots__ = ("__weakref__", "_limit_seconds", "_raw", "_reader", "_socket", "confirmed_at", "history")

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._socket = raw._sock
        # As the socket knows it.
        self._limit_seconds = 0.0
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=DefaultParser.parse_error, notEnoughData=_INCOMPLETE
        )
        self.history = b""
        self.confirmed_at = -CONFIRMED_FOR_SECONDS

    def is_confirmed(self) -> bool:
        return time.monotonic() - self.confirmed_at < CONFIRMED_FOR_SECONDS

    def send(self, commands: Sequence[Command], deadline: float) -> None:
        packed = b"".join(map(_pack, commands))
        self._limit(deadline)
        try:
            self._socket.sendall(packed)
        except TimeoutError as error:
            raise RedisTimeoutError("Redis did not take the commands in time.") from error
        except OSError as error:
            raise RedisConnectionError(f"The connection to Redis was lost: {error}") from error

    def reply(self, deadline: float) -> Any:
        """The next reply. Raises redis-py's errors, also the one that Redis has replied."""
        while (reply := self._reader.gets()) is _INCOMPLETE or type(reply) is hiredis.PushNotification:
            if reply is _INCOMPLETE:
                self._receive(deadline)
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def close(self) -> None:
        self._raw.disconnect()

    def __del__(self) -> None:
        """A connection of redis-py to a host is in a cycle: the garbage collector may come late."""
        with suppress(Exception):
            self.close()

    def has_more(self) -> bool:
        """Whether there are bytes after the last reply. The next command would take them for its own."""
        return self._reader.has_data()

    def _limit(self, deadline: float) -> None:
        """Let the next call of the socket take no longer than until the deadline."""
        left = seconds_until(deadline)
        # A system call, which most exchanges can do without.
        if not left <= self._limit_seconds <= left + TOLERATED_SECONDS:
            self._limit_seconds = left + TOLERATED_SECONDS / 2
            self._socket.settimeout(self._limit_seconds)

    def _receive(self, deadline: float) -> None:
        self._limit(deadline)
        try:
            received = self._socket.recv(RECEIVED_AT_ONCE_BYTES)
        except TimeoutError as error:
            raise RedisTimeoutError("Redis did not reply in time.") from error
        except OSError as error:
            raise RedisConnectionError(f"The connection to Redis was lost: {error}") from error
        if not received:
            raise RedisConnectionError("Redis has closed the connection.")
        self._reader.feed(received)


class PendingReplies:
    """Commands that await their replies. If it is dropped, its connection is closed with it.

    ``confirms`` says whether the confirmation was sent before the commands. ``connection`` is ``None``
    where sending failed.
    """

    __slots__ = ("commands", "confirms", "connection", "deadline")

    def __init__(
        self,
        commands: tuple[Command, ...],
        connection: Connection | None,
        *,
        deadline: float,
        confirms: bool = False,
    ) -> None:
        self.commands = commands
        self.connection = connection
        self.deadline = deadline
        self.confirms = confirms


class Connections:
    """The open connections of a process, as many as its threads needed at once. A fork opens others.

    ``probe_key`` is a key that never exists: deleting it is the write that changes nothing. The first
    connection begins with the ``rehearsal``, commands that must not be refused. When a connection is lost,
    for example because the server was restarted, the commands are sent once more on a new one. So only
    commands that may be executed twice can be sent.
    """

    def __init__(
        self, client: Redis, *, probe_key: str, rehearsal: Callable[[], tuple[Command, ...]] = tuple
    ) -> None:
        self._pool = client.connection_pool
        self._confirmation: tuple[Command, ...] = (("INFO", "replication"), ("DEL", probe_key))
        # Its pop and append are atomic, and the last one used is the likeliest to be open still.
        self._idle: deque[Connection] = deque()
        self._process = os.getpid()
        self._rehearsal = rehearsal
        self._is_rehearsed = False

    def send(self, *commands: Command, seconds: float) -> PendingReplies:
        """The replies must come within these seconds. Raises redis-py's errors, except for a lost connection:
        then ``receive`` sends the commands on another one.
        """
        deadline = time.monotonic() + seconds
        # A forked child must not use its parent's connections, and not every fork runs Python's hooks.
        if self._process != os.getpid():
            self._process = os.getpid()
            self._forget()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection, deadline = self._open(deadline)
        try:
            return self._send(connection, commands, deadline)
        except RedisConnectionError:
            self._forget()
            return PendingReplies(commands, None, deadline=deadline)

    def receive(self, pending: PendingReplies) -> tuple[list[Any], bytes]:
        """A reply for each command, and the history in which they were given.

        Raises redis-py's errors, also for a command that was refused.
        """
        if pending.connection is not None:
            try:
                return self._replies(pending.connection, pending)
            except LOST:
                self._forget()
        return self._exchange_anew(pending.commands, pending.deadline)

    def call(self, *commands: Command, seconds: float) -> list[Any]:
        """Sends and receives."""
        return self.receive(self.send(*commands, seconds=seconds))[0]

    def call_patiently(self, *commands: Command, seconds: float) -> list[Any]:
        """Like ``call``, for a write. A firewall may have forgotten an idle connection: if no reply comes in
        half of the time, the commands are sent once more on a new one.
        """
        deadline = time.monotonic() + seconds
        try:
            return self.call(*commands, seconds=seconds / 2)
        except RedisTimeoutError:
            self._forget()
        return self._exchange_anew(commands, deadline)[0]

    def close(self) -> None:
        """Keep no connection from now on: each one in use is closed after its replies."""
        self._idle = deque(maxlen=0)

    def _exchange_anew(self, commands: tuple[Command, ...], deadline: float) -> tuple[list[Any], bytes]:
        connection, deadline = self._open(deadline)
        return self._replies(connection, self._send(connection, commands, deadline))

    def _send(self, connection: Connection, commands: tuple[Command, ...], deadline: float) -> PendingReplies:
        confirms = not connection.is_confirmed()
        if confirms:
            connection.confirmed_at = time.monotonic()
        try:
            connection.send(self._confirmation + commands if confirms else commands, deadline)
        except BaseException:
            connection.close()
            raise
        return PendingReplies(commands, connection, deadline=deadline, confirms=confirms)

    def _replies(self, connection: Connection, pending: PendingReplies) -> tuple[list[Any], bytes]:
        try:
            if pending.confirms:
                information, _ = self._checked_replies(connection, self._confirmation, pending.deadline)
                connection.history = history_in(information)
            replies = self._checked_replies(connection, pending.commands, pending.deadline)
        except BaseException:
            connection.close()
            raise
        history = connection.history
        if not connection.has_more():
            self._idle.append(connection)
        return replies, history

    def _checked_replies(
        self, connection: Connection, commands: tuple[Command, ...], deadline: float
    ) -> list[Any]:
        return [checked(command, connection.reply(deadline)) for command in commands]

    def _open(self, deadline: float) -> tuple[Connection, float]:
        """A new connection, and the deadline, which is later if the connection has started the server."""
        raw = opened(self._pool, deadline)
        connection, deadline = Connection(raw), deadline + getattr(raw, "started_server_in_seconds", 0.0)
        if not self._is_rehearsed:
            self._rehearse_on(connection, deadline)
        return connection, deadline

    def rehearse(self, *, seconds: float) -> None:
        """Raises redis-py's error of a command that is refused, as to a user who has no right to it."""
        connection, deadline = self._open(time.monotonic() + seconds)
        self._rehearse_on(connection, deadline)
        self._idle.append(connection)

    def _rehearse_on(self, connection: Connection, deadline: float) -> None:
        rehearsal = self._rehearsal()
        try:
            connection.send(rehearsal, deadline)
            for command in rehearsal:
                _allowed(command, connection, deadline)
        except BaseException:
            connection.close()
            raise
        self._is_rehearsed = True

    def _forget(self) -> None:
        # Where one connection was lost, the others were as likely lost.
        self._idle = deque()


def _allowed(command: Command, connection: Connection, deadline: float) -> None:
    """Take the command's reply. Raises redis-py's errors; a command that was refused is named."""
    try:
        checked(command, connection.reply(deadline))
    except ResponseError as error:
        if not is_out_of_memory(error):
            raise type(error)(f"{command[0]!s} was refused: {error}") from error


def is_out_of_memory(error: ResponseError) -> bool:
    """Before Redis 7, scripts wrap the message in one of their own."""
    return isinstance(error, OutOfMemoryError) or "OOM command not allowed" in str(error)
