"""One client of the load generator on a simulated clock, and windows that are summed up exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.benchmarks.experiments.throughput import generator
from catalog.benchmarks.experiments.throughput.generator import LoadGenerator, Tally, Window, ask

MS = 1_000_000
# Ten requests a window: one is due every ten milliseconds.
WINDOW = Window(
    port=7,
    url="/page/",
    clients=1,
    first=0,
    step=1,
    starts_ns=0,
    counts_from_ns=0,
    ends_ns=100 * MS,
    gives_up_ns=1000 * MS,
    rate=100,
)


class Site:
    """A server that takes as many milliseconds for each request as planted, or fails; and the clock."""

    def __init__(self, milliseconds: Iterable[float | str | int]) -> None:
        self.now_ns = 0
        self.planted = iter(milliseconds)
        self.sent_ms: list[float] = []
        self.is_open = True

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1000 * MS)

    def client(self, port: int, **options: Any) -> Any:
        assert (port, options["accept_encoding"]) == (7, "gzip")
        return self

    def get(self, url: str) -> Any:
        assert url == "/page/"
        self.sent_ms.append(self.now_ns / MS)
        planted = next(self.planted, 1)
        if isinstance(planted, str):
            raise ConnectionRefusedError(planted)
        self.now_ns += round(abs(planted) * MS)
        return SimpleNamespace(status=200 if planted > 0 else 503)

    def close(self) -> None:
        self.is_open = False


def asked(monkeypatch: pytest.MonkeyPatch, milliseconds: Iterable[Any], **fields: Any) -> tuple[Site, Tally]:
    site, tally = Site(milliseconds), Tally()
    monkeypatch.setattr(generator, "time", site)
    monkeypatch.setattr(generator, "HTTPClient", site.client)
    ask(replace(WINDOW, **fields), fields.get("first", 0), tally)
    assert not site.is_open
    return site, tally


def milliseconds(tally: Tally) -> list[float]:
    return [latency_ns / MS for latency_ns in tally.latencies_ns]


def test_each_request_is_sent_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    site, tally = asked(monkeypatch, [5] * 10)

    assert site.sent_ms == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert milliseconds(tally) == [5] * 10
    assert (tally.requests, tally.completed, tally.errors) == (10, 10, 0)


def test_a_stall_counts_for_every_request_that_it_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    site, tally = asked(monkeypatch, [35] + [5] * 9)

    assert site.sent_ms == [0, 35, 40, 45, 50, 55, 60, 70, 80, 90]
    assert milliseconds(tally) == [35, 30, 25, 20, 15, 10, 5, 5, 5, 5]


def test_clients_share_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    site, _ = asked(monkeypatch, [1] * 10, clients=3, first=1)

    assert site.sent_ms == [10, 40, 70]


def test_without_a_rate_the_next_request_follows_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    site, tally = asked(monkeypatch, [30, 20, 40, 10, 50], rate=None, starts_ns=10 * MS)

    # The last one is sent before the end of the window and answered at it.
    assert site.sent_ms == [10, 40, 60]
    assert milliseconds(tally) == [30, 20, 40]
    assert (tally.requests, tally.completed) == (3, 2)


def test_only_answers_within_the_window_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    _, tally = asked(monkeypatch, [10] * 10, counts_from_ns=30 * MS)

    # The third is answered as the window begins, and the last one as it ends.
    assert tally.completed == 7
    # The fourth one is the first that is due in it.
    assert len(tally.latencies_ns) == 7


def test_an_error_is_counted_and_has_no_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    site, tally = asked(monkeypatch, [1, "no", -1, 1, "never"], rate=None, ends_ns=4 * MS)

    # After a connection that failed there is a pause of a millisecond.
    assert site.sent_ms == [0, 1, 2, 3]
    assert milliseconds(tally) == [1, 1]
    assert (tally.requests, tally.errors, tally.completed) == (4, 2, 1)
    assert tally.first_error == "ConnectionRefusedError: no"


@pytest.mark.parametrize(("gives_up_ms", "sent"), [(149, 2), (150, 3), (151, 3)])
def test_a_request_that_is_too_late_is_not_sent_and_counts_as_an_error(
    monkeypatch: pytest.MonkeyPatch, gives_up_ms: int, sent: int
) -> None:
    site, tally = asked(monkeypatch, [100, 50] + [200] * 8, gives_up_ns=gives_up_ms * MS, ends_ns=30 * MS)

    assert len(site.sent_ms) == sent
    assert (tally.requests, tally.errors) == (sent, 3 - sent)
    # To leave out its latency would omit the worst.
    assert len(tally.latencies_ns) == 3


# What the processes report


def tally(number: int, error: str = "") -> Tally:
    return Tally(
        requests=10 * number,
        completed=4 * number,
        latencies_ns=[number * MS],
        errors=number,
        first_error=error,
        cpu_seconds=0.5 * number,
    )


def test_tallies_are_added_up() -> None:
    total = tally(1)
    total.add(tally(2, "the first"))
    total.add(tally(3, "another"))

    assert total == Tally(
        requests=60,
        completed=24,
        latencies_ns=[MS, 2 * MS, 3 * MS],
        errors=6,
        first_error="the first",
        cpu_seconds=3.0,
    )


class Child:
    """Replaces a process. ``windows`` holds the windows that it was ordered to load."""

    def __init__(self, report: Tally) -> None:
        self.report = report
        self.windows: list[Window] = []

    def order(self, method: Any, window: Window) -> None:
        assert method is generator.load
        self.windows.append(window)

    def answer(self) -> Tally:
        return self.report


def test_a_window_is_the_same_for_all_processes_and_their_reports_are_summed_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    children = [Child(tally(1)), Child(tally(2, "an answer was 503"))]
    monkeypatch.setattr(generator, "time", SimpleNamespace(monotonic_ns=lambda: 5000 * MS))
    given: Any = children

    outcome = LoadGenerator(given).load(7, "/page/", clients=8, seconds=0.4, lead_seconds=0.1, rate=50)

    windows = [window for child in children for window in child.windows]
    starts_ns = 5000 * MS + round(generator.HEAD_START_SECONDS * 1000) * MS
    expected = Window(
        port=7,
        url="/page/",
        clients=8,
        first=0,
        step=2,
        starts_ns=starts_ns,
        counts_from_ns=starts_ns + 100 * MS,
        ends_ns=starts_ns + 500 * MS,
        gives_up_ns=starts_ns + 1500 * MS,
        rate=50,
    )
    assert windows == [expected, replace(expected, first=1)]
    assert (outcome.requests, outcome.errors, outcome.first_error) == (30, 3, "an answer was 503")
    assert outcome.requests_per_second == pytest.approx(12 / 0.4)
    # Two processes of which each sends 20 requests in a second of its processor.
    assert outcome.ceiling_per_second == pytest.approx(40)
    assert outcome.latencies == (0.001, 0.002)


def test_a_generator_that_sent_nothing_has_no_ceiling() -> None:
    assert generator._sum_up([Tally()], 1).ceiling_per_second is None
