"""One strategy's site for the time of the outages: server, visitor and writer, with a product of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from catalog.benchmarks.experiments.outage.requests import SteadyVisitor
from catalog.benchmarks.experiments.outage.writers import Writer, running_writer
from catalog.benchmarks.processes.servers import running_server
from catalog.benchmarks.sandbox.rows import OwnRows
from catalog.benchmarks.strategies.registry import Strategy


@dataclass(frozen=True, kw_only=True)
class Site:
    strategy: Strategy
    product: int
    visitor: SteadyVisitor
    writer: Writer


@contextmanager
def running_sites(
    strategies: Sequence[Strategy], rows: OwnRows, *, redis_url: str, seconds: float
) -> Iterator[list[Site]]:
    """All of them at once, on one Redis, with a visitor each who asks already."""
    # The read cache's URL follows from the first. The time limits are the shop's.
    environment = {"REDIS_URL": redis_url, "READ_REDIS_URL": "", "BENCH_IS_PATIENT": "off"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        sites, servers = [], []
        for place, strategy in enumerate(strategies):
            # One worker, that waits for nothing but what it was asked for; whether it is there is
            # what the one visitor finds out.
            server = stack.enter_context(
                running_server(
                    workers=1,
                    seconds=seconds,
                    counts_queries=True,
                    environment=environment,
                    strategy=strategy,
                )
            )
            product, log = rows.products[place], folder / f"log-{place}"
            writer = stack.enter_context(running_writer(strategy, product, log, environment))
            visitor = SteadyVisitor(strategy, server.port, rows.detail_path(place))
            sites.append(Site(strategy=strategy, product=product, visitor=visitor, writer=writer))
            servers.append(server)
        # They start side by side.
        for site, server in zip(sites, servers, strict=True):
            server.wait_until_ready(site.visitor.url)
            site.writer.wait_until_ready()
        for site in sites:
            stack.callback(site.visitor.end)
            site.visitor.start()
        yield sites
