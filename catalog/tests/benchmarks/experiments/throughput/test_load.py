from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest

from catalog.benchmarks.experiments.throughput.generator import Window, load
from catalog.benchmarks.figures.statistics import NANOSECONDS
from catalog.tests.benchmarks.clients.scripted_server import KEPT, OK, Serve

STALL_SECONDS = 0.2


def window(port: int, *, seconds: float = 0.1, ago: float = 0.0, **fields: Any) -> Window:
    """A window that began ``ago`` seconds ago and lasts ``seconds``, with one client in one process."""
    starts_ns = time.monotonic_ns() - round(ago * NANOSECONDS)
    return Window(
        **{
            "port": port,
            "url": "/",
            "clients": 1,
            "first": 0,
            "step": 1,
            "starts_ns": starts_ns,
            "counts_from_ns": starts_ns,
            "ends_ns": starts_ns + round(seconds * NANOSECONDS),
            "gives_up_ns": starts_ns + 60 * NANOSECONDS,
            "rate": None,
            **fields,
        }
    )


def seconds(latency_ns: float) -> float:
    return latency_ns / NANOSECONDS


def stall_once() -> Any:
    stalls = iter([STALL_SECONDS])
    return lambda: time.sleep(next(stalls, 0))


def test_a_stall_counts_for_every_request_that_was_due_meanwhile(serve: Serve) -> None:
    server = serve([KEPT] * 1000, before_answer=stall_once())

    report = load(None, window(server.port, seconds=STALL_SECONDS, rate=200))

    assert (report.requests, report.errors) == (40, 0)
    # They waited from 200 ms down to 5 ms, so half of them waited at least 100 ms.
    assert seconds(median(report.latencies_ns)) >= STALL_SECONDS / 2


def test_a_closed_loop_leaves_out_the_requests_that_a_stall_prevented(serve: Serve) -> None:
    server = serve([KEPT] * 100_000, before_answer=stall_once())

    report = load(None, window(server.port, seconds=2 * STALL_SECONDS))

    assert seconds(median(report.latencies_ns)) < STALL_SECONDS / 2


def test_requests_are_due_at_a_constant_rate_from_all_processes_together(serve: Serve) -> None:
    server = serve([OK])
    began = time.monotonic()

    reports = [load(None, window(server.port, clients=3, first=each, step=2, rate=100)) for each in (0, 1)]

    assert sum(report.requests for report in reports) == 10
    assert reports[1].requests == 3
    # In the first window of 0.1 s the last request is due after 0.09 s, in the second after 0.07 s.
    assert time.monotonic() - began > 0.13


def test_requests_before_the_window_do_not_count(serve: Serve) -> None:
    server = serve([KEPT] * 100)
    asked = window(server.port, seconds=1, ago=1, rate=100)

    report = load(
        None, Window(**{**vars(asked), "counts_from_ns": asked.starts_ns + round(0.6 * NANOSECONDS)})
    )

    assert report.requests == 100
    assert len(report.latencies_ns) == 40
    # All were answered after the end of the window.
    assert report.completed == 0


def test_a_request_that_could_not_be_sent_in_time_counts_as_slow_and_as_an_error(serve: Serve) -> None:
    server = serve([OK])
    asked = window(server.port, seconds=1, ago=3, rate=10)

    report = load(None, Window(**{**vars(asked), "gives_up_ns": asked.ends_ns}))

    assert (report.requests, report.errors) == (0, 10)
    assert len(report.latencies_ns) == 10
    assert seconds(min(report.latencies_ns)) >= 2
    assert "could not be sent" in report.first_error


def test_a_response_with_another_status_is_an_error(serve: Serve) -> None:
    server = serve([OK.replace(b"200", b"503")])

    report = load(None, window(server.port, rate=50))

    assert (report.requests, report.errors, report.completed) == (5, 5, 0)
    assert report.first_error == "an answer was 503"
    assert len(report.latencies_ns) == 0


def test_a_server_that_is_not_there_is_an_error(serve: Serve) -> None:
    server = serve()
    server.close()

    report = load(None, window(server.port, rate=50))

    assert (report.requests, report.errors) == (5, 5)
    assert report.first_error.startswith("ConnectionRefusedError")


@pytest.mark.parametrize("rate", [None, 50])
def test_requests_that_are_answered_within_the_window_are_completed(rate: float | None, serve: Serve) -> None:
    server = serve([KEPT] * 100_000)

    report = load(None, window(server.port, rate=rate))

    assert 0 < report.completed <= report.requests
    assert report.cpu_seconds > 0
