"""The program of every child process: ``python -m`` this module, with a socket and a time limit.

The messages on the socket are pickled. The first one is a function that opens a service: a context
manager of any object. Every later one names a method of that object with its arguments, and is
answered with the method's result. The child ends when the socket is closed, which happens when the
benchmark ends for any reason. An exception ends the child with a traceback in its log.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import django

# The answer to the first message.
READY = "ready"


def main() -> None:
    descriptor, limit_seconds = sys.argv[1:]
    django.setup()
    with Connection(int(descriptor)) as channel:
        serve(channel, limit_seconds=float(limit_seconds))


def serve(channel: Connection, *, limit_seconds: float) -> None:
    """A method that takes longer than the limit ends the process: its answer is not waited for any more."""
    messages = _received(channel)
    open_service = next(messages)
    with open_service() as service:
        channel.send(READY)
        for method, arguments, keywords in messages:
            signal.setitimer(signal.ITIMER_REAL, limit_seconds)
            channel.send(method(service, *arguments, **keywords))
            signal.setitimer(signal.ITIMER_REAL, 0)


def _received(channel: Connection) -> Iterator[Any]:
    # A benchmark that was killed may have left an answer unread.
    with contextlib.suppress(EOFError, ConnectionResetError):
        while True:
            yield channel.recv()


if __name__ == "__main__":
    main()
