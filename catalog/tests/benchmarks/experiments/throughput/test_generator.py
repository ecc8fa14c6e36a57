from __future__ import annotations

import psutil
import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.throughput.generator import running_load_generator
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.tests.benchmarks.clients.scripted_server import KEPT, Serve
from catalog.tests.benchmarks.conftest import children


@pytest.mark.django_db(transaction=True)
def test_child_processes_send_the_load_and_have_ended_afterwards(serve: Serve) -> None:
    before = children()
    server = serve([KEPT] * 100_000)
    with isolated_cache(), running_load_generator() as generator:
        own = children() - before
        assert len(own) == generator.processes
        outcome = generator.load(server.port, "/", clients=1, seconds=0.1, lead_seconds=0.02, rate=100)
        closed = generator.load(server.port, "/", clients=1, seconds=0.05, lead_seconds=0)

    assert (outcome.requests, outcome.errors, len(outcome.latencies)) == (12, 0, 10)
    assert closed.requests_per_second > outcome.requests_per_second > 0
    assert closed.ceiling_per_second is not None
    assert closed.ceiling_per_second > closed.requests_per_second
    assert children() <= before


@pytest.mark.django_db(transaction=True)
def test_a_generator_process_that_dies_is_an_error(serve: Serve) -> None:
    before = children()
    server = serve()
    with isolated_cache(), running_load_generator() as generator:
        for each in children() - before:
            psutil.Process(each).kill()
        with pytest.raises(BenchmarkError, match="A process of the benchmark failed"):
            generator.load(server.port, "/", clients=1, seconds=0.05, lead_seconds=0)

    assert children() <= before
