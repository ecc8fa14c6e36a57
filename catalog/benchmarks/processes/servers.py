"""Gunicorn on a free port of this machine."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from catalog.benchmarks.processes import gunicorn_conf
from catalog.benchmarks.processes.children import Process, running_process
from catalog.benchmarks.strategies.base import Strategy

BACKLOG = 1024
GRACE_SECONDS = 2


@dataclass(frozen=True, kw_only=True)
class Server:
    process: Process
    port: int


@contextmanager
def running_server(
    *,
    workers: int = 2,
    threads: int = 1,
    counts_queries: bool = False,
    environment: Mapping[str, str] | None = None,
    strategy: Strategy | None = None,
) -> Iterator[Server]:
    """Serves the shop with all strategies on a port of 127.0.0.1.

    A strategy with separate settings is served only if it is the ``strategy``. With ``threads=1``
    the workers are synchronous. ``counts_queries`` adds ``QUERIES_HEADER`` to each response, which
    takes a little time.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        port = listener.getsockname()[1]
        with running_process(
            _command(listener.fileno(), workers, threads),
            pass_fds=[listener.fileno()],
            # SIGQUIT makes gunicorn end at once: nobody waits for a response any more.
            end_by=signal.SIGQUIT,
            environment={
                gunicorn_conf.COUNTS_QUERIES: "yes" if counts_queries else "",
                **(environment or {}),
            },
            strategy=strategy,
        ) as process:
            # From here on, a server that has ended refuses connections.
            listener.close()
            yield Server(process=process, port=port)


def _command(descriptor: int, workers: int, threads: int) -> list[str]:
    command = ["-m", "gunicorn", "shop.wsgi", "--config", f"python:{gunicorn_conf.__name__}"]
    # How long gunicorn waits for a worker that was told to end before it could listen for that.
    command += ["--no-control-socket", "--graceful-timeout", str(GRACE_SECONDS)]
    command += ["--bind", f"fd://{descriptor}", "--workers", str(workers)]
    if threads > 1:
        command += ["--worker-class", "gthread", "--threads", str(threads)]
    return command


@contextmanager
def running_servers(strategies: Sequence[Strategy], **options: Any) -> Iterator[Mapping[str, Server]]:
    """The server of each strategy, by its name. Strategies without a separate process share one."""
    with ExitStack() as stack:
        shared = stack.enter_context(running_server(**options))
        yield {
            strategy.name: stack.enter_context(running_server(strategy=strategy, **options))
            if strategy.own_process
            else shared
            for strategy in strategies
        }
