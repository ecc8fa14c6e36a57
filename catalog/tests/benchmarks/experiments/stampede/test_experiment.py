"""Real requests to a real server, once; what is made of their figures, without one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.benchmarks.experiments.stampede import experiment
from catalog.benchmarks.experiments.stampede.bursts import Asked
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
PLAN = Options(strategies=STRATEGIES, effort=Effort.QUICK)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("many_connections")
def test_a_cold_page_is_computed_by_each_of_the_textbooks_requests_and_once_by_the_read_cache(
    redis: Any, read_redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = ProductFactory.create()
    # Without the tokens of this write, which run out.
    read_redis.flushdb()
    read_redis.set("precious", "somebody else's")
    before = children()
    monkeypatch.setattr(experiment, "ROUNDS", Scale(quick=1, normal=1, thorough=1))
    done: list[float] = []

    with isolated_cache():
        result = experiment.measure(PLAN.reporting_to(done.append))

    def value(strategy: str, name: str) -> float:
        figure = result.figure(strategy, "stampede", name)
        assert figure is not None
        assert figure.value is not None
        return figure.value

    # The warm-up filled the page, so it was made cold for the round that counts.
    assert value("uncached", "computations") == REQUESTS
    # Not all where the machine is so busy that some ask after the first was answered.
    assert REQUESTS / 2 < value("textbook", "computations") <= REQUESTS
    assert value("readcache", "computations") == value("readcache", "computations_max") == 1
    for strategy in STRATEGIES:
        waits = result.samples(strategy.name, "stampede", "wait")
        assert len(waits) == REQUESTS
        assert value(strategy.name, "errors") == 0
        assert value(strategy.name, "wait_p50") <= value(strategy.name, "wait_max") == max(waits)
    # The server waits for its slow database.
    assert min(result.samples("uncached", "stampede", "wait")) >= LATENCY_SECONDS
    uncached, textbook, read_cache = (line.partition(";")[0] for line in result.verdicts)
    assert uncached.endswith("was computed 50 times")
    assert textbook.endswith("a STAMPEDE")
    assert read_cache.endswith("was computed once each time")
    assert sum(done) == pytest.approx(experiment.estimate_seconds(PLAN))
    assert children() <= before
    assert redis.keys() == []
    assert read_redis.keys() == [b"precious"]
    assert Product.objects.get() == product


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("many_connections")
def test_an_interrupt_ends_the_server_and_asks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    @contextmanager
    def server(**options: Any) -> Iterator[Any]:
        try:
            yield SimpleNamespace(port=0, wait_until_ready=lambda url: None)
        finally:
            ended.append(True)

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(servers, "running_server", server)
    monkeypatch.setattr(experiment, "ask_at_once", interrupt)
    with pytest.raises(KeyboardInterrupt), isolated_cache():
        experiment.measure(PLAN)

    assert ended
    assert gc.isenabled()


def asked(*, queries: int = 0, is_error: bool = False, started_ns: int = 0, ended_ns: int = 10) -> Asked:
    return Asked(queries=queries, is_error=is_error, started_ns=started_ns, ended_ns=ended_ns)


def made_of(name: str, *rounds: list[Asked]) -> ExperimentResult:
    tally = Tally()
    for each in rounds:
        tally.add(each, complaint=lambda: "It ran out of ink.")
    return experiment._result(PLAN, {name: tally})


def values(result: ExperimentResult) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in result.figures}


def bad_columns(result: ExperimentResult) -> set[str]:
    [table] = experiment.tables(result)
    [row] = table.rows
    return {head for head, cell in zip(table.heads, row, strict=True) if cell.mark == "bad"}


def test_a_round_that_is_worse_than_most_is_told() -> None:
    once = [asked(queries=3), *[asked()] * 49]
    result = made_of("mine", once, once, [asked(queries=3)] * 50)

    assert values(result)["computations"] == 1
    assert values(result)["computations_max"] == 50
    assert bad_columns(result) == {"worst round"}
    assert "was computed once, up to 50: a STAMPEDE" in result.verdicts[0]


def test_computing_each_answer_is_no_fault_without_a_cache() -> None:
    result = made_of("uncached", [asked(queries=3)] * 50)

    assert bad_columns(result) == set()
    assert "STAMPEDE" not in result.verdicts[0]


def test_errors_are_counted_and_their_waits_are_not() -> None:
    failed = [asked(is_error=True, ended_ns=9_000_000_000)] * 2
    result = made_of("mine", [asked(queries=3, ended_ns=1_000_000_000), *[asked()] * 47, *failed])

    assert values(result)["errors"] == 2
    assert values(result)["wait_max"] == 1
    assert bad_columns(result) == {"errors"}
    assert "2 of the answers were ERRORS" in result.verdicts[0]
    assert result.warnings[0].endswith("requests failed. It ran out of ink.")


def test_a_server_that_answers_nothing_has_no_waits() -> None:
    result = made_of("mine", [asked(is_error=True)] * 50)

    assert values(result) == {
        "computations": None,
        "computations_max": None,
        "wait_p50": None,
        "wait_max": None,
        "errors": 50,
    }


def test_a_page_that_was_not_cold_has_no_number_of_computations() -> None:
    result = made_of("mine", [asked(queries=3), *[asked()] * 49], [asked()] * 50)

    assert values(result)["computations"] is None
    assert values(result)["computations_max"] is None
    assert "nothing is known" in result.verdicts[0]
    assert "after its cache was emptied no query was needed" in result.warnings[0]


def test_requests_that_came_after_the_first_answer_are_warned_of() -> None:
    late = [asked(started_ns=10, ended_ns=20)] * 3
    result = made_of("mine", [asked(queries=3), *[asked()] * 46, *late])

    assert "only 47 of 50 requests were under way" in result.warnings[0]
    assert made_of("mine", [asked(queries=3), *[asked()] * 49]).warnings == ()


def test_it_is_skipped_where_the_database_has_too_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[float] = []
    apart = find_strategy("catalog.tests.benchmarks.strategies.example_strategies:Apart")
    options = Options(strategies=(UNCACHED, apart), on_progress=done.append)
    monkeypatch.setattr(experiment, "least_room", lambda: ("max_connections in postgresql.conf", 103))

    result = experiment.measure(options)

    # Two servers of 52 threads.
    [warning] = result.warnings
    assert warning == (
        "stampede was skipped: it needs 104 connections to the database at once, and there are 103 to "
        "spare. Raise max_connections in postgresql.conf, or close other programs."
    )
    assert experiment.tables(result) == []
    assert sum(done) == experiment.estimate_seconds(options)
