"""Checks, before any load, that the servers give what is to be measured. None of this is timed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from catalog.benchmarks.clients.http import HTTPClient, get_ok, wait_until_ready
from catalog.benchmarks.clients.in_process import Requester, other_body, require_hit, with_common_links
from catalog.benchmarks.processes.servers import Server
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy


def require_hits(strategies: Sequence[Strategy], path: str) -> None:
    """A repeated request takes no query. From here on, the floors answer what ``UNCACHED`` does.

    Raises ``InvalidOption`` for a path that does not answer 200, and ``BenchmarkError``.
    """
    with Requester() as requester:
        requester.ask(UNCACHED, path)
        requester.prepare_floor(path)
        for strategy in strategies:
            requester.ask(strategy, path)
            require_hit(strategy, path, requester.ask(strategy, path))


def require_equal_answers(servers: Mapping[str, Server], strategies: Sequence[Strategy], path: str) -> None:
    """Each strategy's server, by its name, answers what that of ``UNCACHED`` does.

    Raises ``BenchmarkError``.
    """
    wait_until_ready(servers[UNCACHED.name], UNCACHED.url(path))
    expected = _content(servers[UNCACHED.name], UNCACHED, path)
    for strategy in strategies:
        server = servers[strategy.name]
        wait_until_ready(server, strategy.url(path))
        if _content(server, strategy, path) != expected:
            has_changed = _content(servers[UNCACHED.name], UNCACHED, path) != expected
            raise other_body(strategy, path, has_changed=has_changed)


def _content(server: Server, strategy: Strategy, path: str) -> Any:
    """The JSON, asked for as the load generator does."""
    response = get_ok(server, HTTPClient(server.port, accept_encoding="gzip"), strategy.url(path))
    origin = f"127.0.0.1:{server.port}{strategy.url_prefix}"
    return json.loads(with_common_links(response.content, origin))
