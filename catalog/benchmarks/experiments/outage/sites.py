"""One strategy's site during the outages: a server, a client and a writer, with one scratch product.

The writer is a separate process, which saves the product as another worker or a command would. All sites
share one scratch Redis, the only one that is harmed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from catalog.benchmarks.clients.http import wait_until_ready
from catalog.benchmarks.experiments.outage.faults import DATABASE
from catalog.benchmarks.experiments.outage.requests import SteadyClient
from catalog.benchmarks.processes.children import Child, running_child
from catalog.benchmarks.processes.scratch_redis import scratch_redis
from catalog.benchmarks.processes.servers import running_server
from catalog.benchmarks.sandbox.rows import ScratchRows, scratch_rows
from catalog.benchmarks.strategies.registry import Strategy, find_strategy, only_invalidation_of
from catalog.models import Product
from readcache.storage.current import store
from readcache.testing import PrivateRedis


@dataclass(frozen=True, kw_only=True)
class Site:
    strategy: Strategy
    product: int
    client: SteadyClient
    writer: Child[Product]


@dataclass(frozen=True, kw_only=True)
class Save:
    """One ``Product.save()``. ``ended`` is monotonic time. ``error`` is empty if it returned."""

    ended: float
    seconds: float
    error: str = ""


@contextmanager
def product_of(strategy: str, key: int) -> Iterator[Product]:
    """Only the invalidation of the named strategy is connected within the block."""
    with only_invalidation_of(find_strategy(strategy)):
        yield Product.objects.get(pk=key)


def save(product: Product, *, stock: int) -> Save:
    product.stock = stock
    error = ""
    started = time.monotonic()
    try:
        product.save()
    except Exception as raised:  # noqa: BLE001, any exception of a strategy's receivers is a finding
        error = f"{type(raised).__name__}: {raised}"
    ended = time.monotonic()
    return Save(ended=ended, seconds=ended - started, error=error)


def has_recovered(_: Product) -> bool:
    """Whether the read cache, which may have bypassed Redis in the last outage, uses it again."""
    return not store().breaker.is_open


@contextmanager
def running_sites(strategies: Sequence[Strategy]) -> Iterator[tuple[PrivateRedis, list[Site]]]:
    """The scratch Redis and all sites. Each client has begun to send requests. Raises ``BenchmarkError``."""
    with (
        scratch_rows(len(strategies)) as rows,
        scratch_redis(maxmemory="64mb") as redis,
        _running_sites(strategies, rows, redis.url(database=DATABASE)) as sites,
    ):
        yield redis, sites


@contextmanager
def _running_sites(strategies: Sequence[Strategy], rows: ScratchRows, redis_url: str) -> Iterator[list[Site]]:
    # The read cache's URL follows from the first. The time limits are the shop's.
    environment = {"REDIS_URL": redis_url, "READ_REDIS_URL": "", "BENCH_IS_PATIENT": "off"}
    with ExitStack() as stack:
        sites, servers = [], []
        for place, strategy in enumerate(strategies):
            # One worker serves one client: a request waits for nothing but the outage.
            server = stack.enter_context(
                running_server(workers=1, counts_queries=True, environment=environment, strategy=strategy)
            )
            product = rows.products[place]
            opened = partial(product_of, strategy.name, product)
            writer = stack.enter_context(running_child(opened, environment=environment, strategy=strategy))
            client = SteadyClient(strategy, server.port, rows.detail_path(place))
            sites.append(Site(strategy=strategy, product=product, client=client, writer=writer))
            servers.append(server)
        # All of them start at the same time.
        for site, server in zip(sites, servers, strict=True):
            wait_until_ready(server, site.client.url)
            site.writer.wait_until_ready()
        for site in sites:
            stack.callback(site.client.end)
            site.client.start()
        yield sites
