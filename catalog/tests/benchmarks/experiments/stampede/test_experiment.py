"""The stampede experiment, once with a real server and then with planted requests."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache

from catalog.benchmarks.experiments.stampede import experiment
from catalog.benchmarks.experiments.stampede.bursts import BurstRequest
from catalog.benchmarks.experiments.stampede.experiment import LATENCY_SECONDS, REQUESTS, Tally
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.processes import servers
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED, find_strategy
from catalog.factories import ProductFactory
from catalog.models import Product
from catalog.tests.benchmarks.conftest import children

STRATEGIES = (UNCACHED, TEXTBOOK, READ_CACHE)
APART = "catalog.tests.benchmarks.strategies.example_strategies:Apart"
COMPUTES_TWICE = "catalog.tests.benchmarks.strategies.planted_strategies:ComputesTwice"
OPTIONS = Options(strategies=STRATEGIES, effort=Effort.QUICK)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("many_connections")
def test_a_cold_page_is_computed_by_each_request_of_the_textbook_and_once_by_the_read_cache(
    redis: Any, read_redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = ProductFactory.create()
    # The tokens of this write would expire during the test.
    read_redis.flushdb()
    read_redis.set("precious", "somebody else's")
    before = children()
    monkeypatch.setattr(experiment, "ROUNDS", Scale(quick=1, normal=1, thorough=1))
    done: list[float] = []
    computes_twice = find_strategy(COMPUTES_TWICE)
    options = replace(OPTIONS, strategies=(*STRATEGIES, computes_twice), on_progress=done.append)

    with isolated_cache():
        result = experiment.measure(options)

    def value(strategy: str, name: str) -> float:
        figure = result.figure(strategy, "stampede", name)
        assert figure is not None
        assert figure.value is not None
        return figure.value

    # The warm-up has cached the page, so the cache was emptied before the round that counts.
    assert value("uncached", "computations") == REQUESTS
    # Fewer if the machine is so busy that some requests begin after the first answer.
    assert REQUESTS / 2 < value("textbook", "computations") <= REQUESTS
    assert value("readcache", "computations") == value("readcache", "computations_max") == 1
    assert value("computes-twice", "computations") == value("computes-twice", "computations_max") == 2
    for strategy in options.strategies:
        waits = result.samples(strategy.name, "stampede", "wait")
        assert len(waits) == REQUESTS
        assert value(strategy.name, "errors") == 0
        assert value(strategy.name, "wait_p50") <= value(strategy.name, "wait_max") == max(waits)
    # The simulated latency applies in the server.
    assert min(result.samples("uncached", "stampede", "wait")) >= LATENCY_SECONDS
    uncached, textbook, read_cache, twice = (line.partition(";")[0] for line in result.verdicts)
    assert uncached.endswith("was computed 50 times")
    assert textbook.endswith("a STAMPEDE")
    assert read_cache.endswith("was computed once each time")
    assert twice.endswith("was computed 2 times: a STAMPEDE")
    assert sum(done) == pytest.approx(1)
    assert children() <= before
    assert redis.keys() == []
    assert read_redis.keys() == [b"precious"]
    assert Product.objects.get() == product


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Replaces the real server. ``started`` holds the options of each start, ``ended`` counts the ends."""
    found = SimpleNamespace(started=[], ended=0, ready=[])

    @contextmanager
    def start(**options: Any) -> Iterator[Any]:
        found.started.append(options)
        process = SimpleNamespace(last_words=lambda: "It ran out of ink.")
        try:
            yield SimpleNamespace(port=0, process=process)
        finally:
            found.ended += 1

    monkeypatch.setattr(servers, "running_server", start)
    monkeypatch.setattr(experiment, "wait_until_ready", lambda server, url: found.ready.append(url))
    monkeypatch.setattr(experiment, "least_room", lambda: None)
    with isolated_cache():
        yield found


def test_an_interrupt_ends_the_server_and_the_requests(
    server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "send_burst", interrupt)
    with pytest.raises(KeyboardInterrupt):
        experiment.measure(OPTIONS)

    assert (len(server.started), server.ended) == (1, 1)
    assert gc.isenabled()


def test_each_counted_round_is_cold_and_without_garbage_collection(
    server: SimpleNamespace, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls: list[str] = []

    def ask(server: Any, url: str, requests: int) -> list[BurstRequest]:
        assert not gc.isenabled()
        assert redis.keys() == []
        assert requests == REQUESTS
        cache.set("page", url)
        urls.append(url)
        # The first round of each strategy is a warm-up.
        return [asked(queries=len(urls), is_error=len(urls) <= len(STRATEGIES))] * requests

    monkeypatch.setattr(experiment, "send_burst", ask)
    monkeypatch.setattr(experiment, "ROUNDS", Scale(quick=2, normal=1, thorough=1))

    result = experiment.measure(OPTIONS)

    expected = [strategy.url(OPTIONS.path) for strategy in STRATEGIES]
    # Before the first burst, every strategy has answered its page.
    assert server.ready == expected
    assert {url: urls.count(url) for url in urls} == dict.fromkeys(expected, 3)
    assert [set(urls[start : start + 3]) for start in (0, 3, 6)] == [set(expected)] * 3
    for strategy in STRATEGIES:
        assert len(result.samples(strategy.name, "stampede", "computations")) == 2
        assert result.samples(strategy.name, "stampede", "wait") == (10e-9,) * 2 * REQUESTS
        assert result.figure(strategy.name, "stampede", "errors").value == 0  # type: ignore[union-attr]
    assert result.parameters["rounds"] == 2
    [options] = server.started
    assert options["counts_queries"]
    assert options["workers"] * options["threads"] >= REQUESTS


def asked(
    *, queries: int = 0, is_error: bool = False, started_ns: int = 0, ended_ns: int = 10
) -> BurstRequest:
    return BurstRequest(queries=queries, is_error=is_error, started_ns=started_ns, ended_ns=ended_ns)


def made_of(name: str, *rounds: list[BurstRequest]) -> ExperimentResult:
    tally = Tally()
    for each in rounds:
        tally.add(each, complaint=lambda: "It ran out of ink.")
    return experiment._result(OPTIONS, {name: tally})


def values(result: ExperimentResult) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in result.figures}


def bad_columns(result: ExperimentResult) -> set[str]:
    [table] = experiment.tables(result)
    [row] = table.rows
    return {head for head, cell in zip(table.heads, row, strict=True) if cell.rating == "bad"}


ONCE = [asked(queries=1), *[asked()] * 49]
TWICE = [*[asked(queries=1)] * 2, *[asked()] * 48]


@pytest.mark.parametrize(
    ("rounds", "median", "worst", "marked", "words"),
    [
        ([ONCE, ONCE, ONCE], 1, 1, set(), "was computed once each time;"),
        ([ONCE, ONCE, TWICE], 1, 2, {"worst round"}, "was computed once, up to 2: a STAMPEDE;"),
        ([ONCE, TWICE, TWICE], 2, 2, {"computed", "worst round"}, "was computed 2 times: a STAMPEDE;"),
        (
            [TWICE, TWICE, [asked(queries=3)] * 50],
            2,
            50,
            {"computed", "worst round"},
            "was computed 2 times, up to 50: a STAMPEDE;",
        ),
    ],
)
def test_a_page_that_is_computed_twice_is_a_stampede(
    rounds: list[list[BurstRequest]], median: float, worst: float, marked: set[str], words: str
) -> None:
    result = made_of("mine", *rounds)

    assert values(result)["computations"] == median
    assert values(result)["computations_max"] == worst
    assert bad_columns(result) == marked
    assert (
        f"a cold page, requested 50 times at once, {words} the longest wait was 0.01 µs."
        in result.verdicts[0]
    )


def test_computing_each_answer_is_not_a_fault_of_uncached() -> None:
    result = made_of("uncached", [asked(queries=3)] * 50)

    assert bad_columns(result) == set()
    assert "STAMPEDE" not in result.verdicts[0]


def test_errors_are_counted_but_not_their_waits() -> None:
    failed = asked(is_error=True, started_ns=500_000_000, ended_ns=9_000_000_000)
    slow = asked(queries=3, started_ns=500_000_000, ended_ns=1_500_000_000)
    with_errors = [slow, *[asked()] * 47, failed, failed]
    result = made_of("mine", with_errors, ONCE, ONCE)

    assert values(result)["errors"] == 2
    assert values(result)["wait_max"] == 1
    assert bad_columns(result) == {"errors"}
    assert "; the longest wait was 1.00 s; 2 responses FAILED." in result.verdicts[0]
    assert result.warnings == ("mine: 2 requests failed. It ran out of ink.",)


def test_one_error_is_marked() -> None:
    assert bad_columns(made_of("mine", [asked(queries=1), *[asked()] * 48, asked(is_error=True)])) == {
        "errors"
    }


def test_a_server_is_asked_for_its_last_words_after_rounds_with_errors_only() -> None:
    tally = Tally()
    complaints = iter(["It ran out of ink.", "It ran out of paper."])

    for each in (ONCE, [asked(is_error=True)], ONCE):
        tally.add(each, complaint=lambda: next(complaints))

    assert tally.complaints == ["It ran out of ink."]


def test_a_server_that_answers_nothing_has_no_waits() -> None:
    result = made_of("mine", [asked(is_error=True)] * 50)

    assert values(result) == {
        "computations": None,
        "computations_max": None,
        "wait_p50": None,
        "wait_max": None,
        "errors": 50,
    }
    assert "longest wait" not in result.verdicts[0]


def test_a_page_that_was_cached_already_has_no_number_of_computations() -> None:
    result = made_of("mine", [asked(queries=3), *[asked()] * 49], [asked()] * 50)

    assert values(result)["computations"] is None
    assert values(result)["computations_max"] is None
    assert bad_columns(result) == set()
    assert "nothing is known" in result.verdicts[0]
    assert "no query was needed although its cache was empty" in result.warnings[0]


def test_requests_that_began_after_the_first_answer_give_a_warning() -> None:
    late = [asked(started_ns=10, ended_ns=20)] * 3
    result = made_of("mine", ONCE, [asked(queries=3), *[asked()] * 46, *late], ONCE)

    assert result.warnings == (
        "mine: only 47 of 50 requests were sent before the first response. Close other programs.",
    )
    assert made_of("mine", ONCE).warnings == ()


def test_the_experiment_is_skipped_if_the_database_has_too_few_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[float] = []
    apart = find_strategy(APART)
    options = Options(strategies=(UNCACHED, apart), on_progress=done.append)
    monkeypatch.setattr(experiment, "least_room", lambda: ("max_connections in postgresql.conf", 103))

    result = experiment.measure(options)

    # Two servers with 52 threads each.
    [warning] = result.warnings
    assert warning == (
        "stampede was skipped: it needs 104 connections to the database at once, and 103 are free. "
        "Raise max_connections in postgresql.conf, or close other programs."
    )
    assert experiment.tables(result) == []
    assert done == [1]


@pytest.mark.parametrize(("free", "spare"), [(103, "103"), (0, "0"), (-2, "0")])
def test_one_connection_too_few_is_too_few(free: int, spare: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(strategies=(UNCACHED, find_strategy(APART)))
    monkeypatch.setattr(experiment, "least_room", lambda: ("max_connections", free))
    assert f"and {spare} are free" in experiment._lacks_connections(options)

    monkeypatch.setattr(experiment, "least_room", lambda: ("max_connections", 104))
    assert experiment._lacks_connections(options) == ""
