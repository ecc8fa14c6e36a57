"""Gunicorn on a free port, which leaves no page in the caches and outlives no killed soak for long."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from django_redis.client.default import glob_escape

from catalog.benchmarks.client import BenchmarkError
from catalog.benchmarks.freshness.answers import Visitor
from catalog.benchmarks.freshness.processes import EXIT_PATIENCE_SECONDS, Process, running_process
from catalog.benchmarks.freshness.shelves import Shelf, pages
from catalog.benchmarks.isolation import interrupts_deferred
from catalog.benchmarks.strategies import Strategy
from catalog.cached_pages import page_pattern, redis_client, scan_batches
from catalog.caching import engine
from catalog.textbook import PRODUCT_PREFIX

THREADS_PER_WORKER = 2
SERVER_CONFIG = """\
import signal

# Ends the server even where the soak was killed.
signal.alarm({limit})


def post_worker_init(worker):
    from catalog.benchmarks.freshness.answers import counting_queries

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
        except (OSError, http.client.HTTPException) as error:
            raise self.process.failed() from error
        if answer.status != 200:
            raise BenchmarkError(f"{url} answered {answer.status}, not 200. {self.process.last_words()}")


@contextmanager
def running_server(
    strategy: Strategy, shelves: Sequence[Shelf], workers: int, seconds: float
) -> Iterator[Server]:
    """Serves the shop on a port of 127.0.0.1 inside; removes the pages that were cached of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, TemporaryDirectory() as folder:
        port = listener.getsockname()[1]
        config = Path(folder) / "gunicorn.conf.py"
        config.write_text(SERVER_CONFIG.format(limit=int(seconds) + 4 * EXIT_PATIENCE_SECONDS))
        command = ["-m", "gunicorn", "shop.wsgi", "--config", str(config), "--no-control-socket"]
        command += ["--bind", f"fd://{listener.fileno()}", "--workers", str(workers)]
        command += ["--worker-class", "gthread", "--threads", str(THREADS_PER_WORKER)]
        fds = [listener.fileno()]
        try:
            # SIGQUIT is gunicorn's word for ending at once; nobody waits for an answer any more.
            with running_process(
                command, Path(folder) / "log", pass_fds=fds, end_by=signal.SIGQUIT
            ) as process:
                # From here on a server that ended refuses connections.
                listener.close()
                yield Server(process=process, port=port)
        finally:
            with interrupts_deferred():
                _remove_pages(port, [strategy.url(page) for page in pages(shelves)])


def _remove_pages(port: int, urls: Sequence[str]) -> None:
    """What servers on this port left in both caches: the engine names the port, cache_page a digest."""
    store, host = engine.store(), f"*//127.0.0.1:{port}/*"
    for start in (store.entry_key(""), store.lock_key("")):
        for batch in scan_batches(redis_client(engine.ALIAS), f"{glob_escape(start)}{host}"):
            redis_client(engine.ALIAS).unlink(*batch)
    full = [f"http://127.0.0.1:{port}{url}".encode() for url in urls]
    digests = [hashlib.md5(url, usedforsecurity=False).hexdigest().encode() for url in full]
    for batch in scan_batches(redis_client(), page_pattern(PRODUCT_PREFIX)):
        if own := [key for key in batch if any(digest in key for digest in digests)]:
            redis_client().unlink(*own)
