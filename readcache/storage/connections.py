"""Connections for the engine's commands, without the work that redis-py does around each command.

The lock of its pool, its poll for stray bytes and its hooks for observers cost a third of a round trip.
They are not needed here: a connection becomes idle only after all its replies were read, so a reply can
never be taken for another command's. Sending and receiving are separate calls, which lets the caller
work while Redis does.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

Command = tuple[str | bytes | int, ...]


class PendingReplies:
    """Commands that were sent. If this object is dropped, so is its connection."""

    __slots__ = ("commands", "connection")

    def __init__(self, commands: tuple[Command, ...], connection: Any | None) -> None:
        self.commands = commands
        self.connection = connection


class Connections:
    """As many connections as are needed at once, for threads and for processes that fork.

    If a connection is lost, as after a restart of the server, the commands are sent once more on a new
    one. So only commands that may run twice can be sent. After a time-out nothing is sent again.
    """

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        # A deque's pop and append are atomic. The connection that was used last is the likeliest to be open.
        self._idle: deque[Any] = deque()
        # A forked process must not use its parent's connections.
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def send(self, *commands: Command) -> PendingReplies:
        """Send the commands. Raises redis-py's errors, except for a lost connection."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._new()
        try:
            _send(connection, commands)
        except RedisConnectionError:
            self._forget()
            connection = None
        return PendingReplies(commands, connection)

    def receive(self, pending: PendingReplies) -> list[Any]:
        """One reply for each command. Raises redis-py's errors, also for a refused command."""
        connection = pending.connection
        if connection is not None:
            try:
                return self._replies(connection, pending.commands)
            except RedisConnectionError:
                self._forget()
        connection = self._new()
        _send(connection, pending.commands)
        return self._replies(connection, pending.commands)

    def call(self, *commands: Command) -> list[Any]:
        return self.receive(self.send(*commands))

    def close(self) -> None:
        """Keep no connection any more. Each one in use is closed after its reply."""
        self._idle = deque(maxlen=0)

    def _replies(self, connection: Any, commands: tuple[Command, ...]) -> list[Any]:
        replies = [connection.read_response() for _ in commands]
        self._idle.append(connection)
        return replies

    def _new(self) -> Any:
        return self._pool.connection_class(**self._pool.connection_kwargs)

    def _forget(self) -> None:
        # When one connection is lost, the others are probably lost too.
        self._idle = deque()


def _send(connection: Any, commands: tuple[Command, ...]) -> None:
    packed = [part for command in commands for part in connection.pack_command(*command)]
    connection.send_packed_command(packed if len(packed) == 1 else [b"".join(packed)])
