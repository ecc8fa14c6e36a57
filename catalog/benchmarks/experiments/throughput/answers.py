"""Whether what is about to be loaded gives what is to be measured. None of it is timed."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

from catalog.benchmarks.clients.in_process import BenchmarkError, Requester, other_body
from catalog.benchmarks.experiments.throughput.connections import Connection
from catalog.benchmarks.processes.servers import Server
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy


def require_hits(strategies: Sequence[Strategy], path: str) -> None:
    """A repeat takes no query. The floors answer what ``UNCACHED`` does from here on.

    Raises ``InvalidOption`` for a path without an answer, and ``BenchmarkError``.
    """
    with Requester() as requester:
        requester.ask(UNCACHED, path)
        requester.prepare_floor(path)
        for strategy in strategies:
            requester.ask(strategy, path)
            queries = requester.ask(strategy, path).queries
            if strategy.caches and queries:
                raise BenchmarkError(
                    f"{strategy.name} ran {queries} queries to repeat {path}; a hit runs none."
                )


def require_equal_answers(servers: Mapping[str, Server], strategies: Sequence[Strategy], path: str) -> None:
    """Each strategy's server, by its name, answers what ``UNCACHED``'s does. Raises ``BenchmarkError``."""
    servers[UNCACHED.name].wait_until_ready(UNCACHED.url(path))
    expected = _content(servers[UNCACHED.name], UNCACHED, path)
    for strategy in strategies:
        server = servers[strategy.name]
        server.wait_until_ready(strategy.url(path))
        if _content(server, strategy, path) != expected:
            has_changed = _content(servers[UNCACHED.name], UNCACHED, path) != expected
            raise other_body(strategy, path, has_changed=has_changed)


def _content(server: Server, strategy: Strategy, path: str) -> Any:
    url = strategy.url(path)
    with contextlib.closing(Connection(server.port, url)) as connection:
        try:
            answer = connection.get()
        except OSError as error:
            raise BenchmarkError(f"{url} was not answered: {error}. {server.process.last_words()}") from error
    if answer.status != 200:
        raise BenchmarkError(f"{url} answered {answer.status}, not 200. {server.process.last_words()}")
    body = gzip.decompress(answer.body) if answer.is_gzipped else answer.body
    own_links = f"127.0.0.1:{server.port}{strategy.url_prefix}/".encode()
    return json.loads(body.replace(own_links, b"testserver/"))
