"""One strategy's site during the outages: a server, a client and a writer, with one scratch product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from catalog.benchmarks.clients.http import wait_until_ready
from catalog.benchmarks.experiments.outage.requests import SteadyClient
from catalog.benchmarks.experiments.outage.writers import product_of
from catalog.benchmarks.processes.children import Child, running_child
from catalog.benchmarks.processes.servers import running_server
from catalog.benchmarks.sandbox.rows import ScratchRows
from catalog.benchmarks.strategies.registry import Strategy
from catalog.models import Product


@dataclass(frozen=True, kw_only=True)
class Site:
    strategy: Strategy
    product: int
    client: SteadyClient
    writer: Child[Product]


@contextmanager
def running_sites(
    strategies: Sequence[Strategy], rows: ScratchRows, *, redis_url: str, seconds: float
) -> Iterator[list[Site]]:
    """All sites at once, on one Redis. Each client has begun to send requests."""
    # The read cache's URL follows from the first. The time limits are the shop's.
    environment = {"REDIS_URL": redis_url, "READ_REDIS_URL": "", "BENCH_IS_PATIENT": "off"}
    with ExitStack() as stack:
        sites, servers = [], []
        for place, strategy in enumerate(strategies):
            # One worker serves one client: a request waits for nothing but the outage.
            server = stack.enter_context(
                running_server(
                    workers=1,
                    seconds=seconds,
                    counts_queries=True,
                    environment=environment,
                    strategy=strategy,
                )
            )
            product = rows.products[place]
            opened = partial(product_of, strategy.name, product)
            writer = stack.enter_context(running_child(opened, environment=environment, strategy=strategy))
            client = SteadyClient(strategy, server.port, rows.detail_path(place))
            sites.append(Site(strategy=strategy, product=product, client=client, writer=writer))
            servers.append(server)
        # They start side by side.
        for site, server in zip(sites, servers, strict=True):
            wait_until_ready(server, site.client.url)
            site.writer.wait_until_ready()
        for site in sites:
            stack.callback(site.client.end)
            site.client.start()
        yield sites
