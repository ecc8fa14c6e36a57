"""Connections for the engine's commands, without what redis-py does around every command.

Its pool's lock, its poll for stray bytes and its hooks for observers take as long again as a third
of the round trip itself. What makes them dispensable here: a connection comes back only after its
replies were read whole, so no reply can be taken for another's. Sending and receiving are two
calls, so that what is ready before the reply can be done while Redis works.
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
    """Commands that await their replies. One that is dropped takes its connection with it."""

    __slots__ = ("commands", "connection")

    def __init__(self, commands: tuple[Command, ...], connection: Any | None) -> None:
        self.commands = commands
        self.connection = connection


class Connections:
    """As many as were needed at once. For threads, and for processes that fork.

    Where a connection is lost, as after a restart of the server, the commands are sent once more on
    a new one: only commands that may be done twice can be sent. A time-out is not waited twice.
    """

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        # Its pop and append are atomic, and the last one used is the likeliest to be open still.
        self._idle: deque[Any] = deque()
        # A forked child must not talk on its parent's connections.
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def send(self, *commands: Command) -> PendingReplies:
        """Raises redis-py's errors, except that of a connection that is lost."""
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

    def receive(self, sent: PendingReplies) -> list[Any]:
        """A reply for each command. Raises redis-py's errors, also for a command that was refused."""
        connection = sent.connection
        if connection is not None:
            try:
                return self._replies(connection, sent)
            except RedisConnectionError:
                self._forget()
        connection = self._new()
        _send(connection, sent.commands)
        return self._replies(connection, sent)

    def call(self, *commands: Command) -> list[Any]:
        return self.receive(self.send(*commands))

    def close(self) -> None:
        """Keep none any more, for one that is not used again: each ends after its last reply."""
        self._idle = deque(maxlen=0)

    def _replies(self, connection: Any, sent: PendingReplies) -> list[Any]:
        replies = [connection.read_response() for _ in sent.commands]
        self._idle.append(connection)
        return replies

    def _new(self) -> Any:
        return self._pool.connection_class(**self._pool.connection_kwargs)

    def _forget(self) -> None:
        # Where one connection was lost, the others were as likely lost.
        self._idle = deque()


def _send(connection: Any, commands: tuple[Command, ...]) -> None:
    packed = [part for command in commands for part in connection.pack_command(*command)]
    connection.send_packed_command(packed if len(packed) == 1 else [b"".join(packed)])
