from __future__ import annotations

import psutil
import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.throughput.generator import (
    LOWEST_MICROSECONDS,
    Latencies,
    running_load_generator,
)
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.tests.benchmarks.clients.scripted_server import KEPT, Serve
from catalog.tests.benchmarks.conftest import children


def latencies_of(*microseconds: int) -> Latencies:
    return Latencies(1000 * each for each in microseconds)


@pytest.mark.django_db(transaction=True)
def test_child_processes_send_the_load_and_have_ended_afterwards(serve: Serve) -> None:
    before = children()
    server = serve([KEPT] * 100_000)
    with isolated_cache(), running_load_generator() as generator:
        own = children() - before
        assert len(own) == generator.processes
        outcome = generator.load(server.port, "/", clients=1, seconds=0.1, lead_seconds=0.02, rate=100)
        closed = generator.load(server.port, "/", clients=1, seconds=0.05, lead_seconds=0)

    assert (outcome.requests, outcome.errors, outcome.latencies.count) == (12, 0, 10)
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


def test_percentiles_are_in_seconds_to_three_digits() -> None:
    latencies = latencies_of(*range(1000, 1_001_000, 1000))

    assert latencies.count == 1000
    assert latencies.percentile(50) == pytest.approx(0.5, rel=0.001)
    assert latencies.percentile(99) == pytest.approx(0.99, rel=0.001)
    assert latencies_of(LOWEST_MICROSECONDS).percentile(50) == pytest.approx(1e-6)


@pytest.mark.parametrize(("count", "has_p99"), [(99, False), (100, True)])
def test_fewer_than_a_hundred_requests_have_no_p99(count: int, has_p99: bool) -> None:
    assert (latencies_of(*[5000] * count).percentile(99) is not None) is has_p99


def test_without_a_request_there_is_no_percentile() -> None:
    assert latencies_of().percentile(50) is None


def test_merging_latencies_changes_only_one_of_them() -> None:
    one, other = latencies_of(1000, 1000), latencies_of(9000)

    one.merge(other)

    assert (one.count, other.count) == (3, 1)
    assert one.percentile(90) == pytest.approx(0.009, rel=0.001)
