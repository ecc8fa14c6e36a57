"""Gunicorn on a free port, which outlives no killed benchmark for long."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from catalog.benchmarks.clients.http import REQUEST_TIMEOUT_SECONDS, Visitor
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, Process, running_process
from catalog.benchmarks.strategies.base import Strategy

BACKLOG = 1024
GRACE_SECONDS = 2
SERVER_CONFIG = """\
import signal

# Ends the server even where the benchmark was killed.
signal.alarm({limit})
"""
COUNTING_QUERIES = """

def post_worker_init(worker):
    from catalog.benchmarks.clients.http import counting_queries

    worker.wsgi = counting_queries(worker.wsgi)
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    process: Process
    port: int

    def wait_until_ready(self, url: str) -> None:
        """The request waits in the queue of the socket until a worker is there to answer it."""
        try:
            with contextlib.closing(Visitor(self.port)) as visitor:
                answer = visitor.get(url)
        except TimeoutError as error:
            raise BenchmarkError(
                f"{url} was not answered within {REQUEST_TIMEOUT_SECONDS} s. {self.process.last_words()}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise self.process.failed() from error
        if answer.status != 200:
            raise BenchmarkError(f"{url} answered {answer.status}, not 200. {self.process.last_words()}")


@contextmanager
def running_server(
    *,
    workers: int = 2,
    threads: int = 1,
    seconds: float = 600,
    counts_queries: bool = False,
    environment: Mapping[str, str] | None = None,
    strategy: Strategy | None = None,
) -> Iterator[Server]:
    """Serves the shop, all strategies of it, on a port of 127.0.0.1 inside.

    One that has settings of its own is served only if it is the ``strategy``.
    With ``threads=1`` the workers are synchronous. It ends by itself some time after ``seconds``.
    ``counts_queries`` adds a header that says how many queries an answer took, which costs time.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener, TemporaryDirectory() as folder:
        port = listener.getsockname()[1]
        config = Path(folder) / "gunicorn.conf.py"
        text = SERVER_CONFIG.format(limit=int(seconds) + 4 * EXIT_PATIENCE_SECONDS)
        config.write_text(text + COUNTING_QUERIES if counts_queries else text)
        command = ["-m", "gunicorn", "shop.wsgi", "--config", str(config), "--no-control-socket"]
        # A worker that was told to end before it could listen to that is waited for so long.
        command += ["--graceful-timeout", str(GRACE_SECONDS)]
        command += ["--bind", f"fd://{listener.fileno()}", "--workers", str(workers)]
        if threads > 1:
            command += ["--worker-class", "gthread", "--threads", str(threads)]
        with running_process(
            command,
            Path(folder) / "log",
            pass_fds=[listener.fileno()],
            # SIGQUIT is gunicorn's word for ending at once; nobody waits for an answer any more.
            end_by=signal.SIGQUIT,
            environment=environment,
            strategy=strategy,
        ) as process:
            # From here on a server that ended refuses connections.
            listener.close()
            yield Server(process=process, port=port)


@contextmanager
def running_servers(strategies: Sequence[Strategy], **options: Any) -> Iterator[Mapping[str, Server]]:
    """The server that serves each strategy, by its name: the same one, unless it has a process of its own."""
    with ExitStack() as stack:
        shared = stack.enter_context(running_server(**options))
        yield {
            strategy.name: stack.enter_context(running_server(strategy=strategy, **options))
            if strategy.own_process
            else shared
            for strategy in strategies
        }
