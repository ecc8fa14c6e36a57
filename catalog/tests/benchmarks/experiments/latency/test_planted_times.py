"""A requester that returns planted times. Each figure follows exactly from them."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.latency import experiment
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.strategies.registry import READ_CACHE, UNCACHED, Strategy

MILLISECOND_NS = 1_000_000
PATH = "/products/?page=2"
MIX = ["/a/", "/b/", "/a/", PATH, "/a/"]
REQUESTS, WARMUP, COLD_ROUNDS = 100, 7, 6
NAMES = ["uncached", "readcache", "floor", "floor-get"]

TimeOf = Callable[[str, str, int], float]


class Visitor:
    """Replaces ``Requester``. ``timed`` holds the strategy, the path and how often the cache was emptied.

    ``time_of`` gives the milliseconds of a strategy's n-th timed request since the cache was emptied.
    """

    # The real one compares what ask() returns.
    check: Any = Requester.check
    time_of: TimeOf
    queries: dict[tuple[str, bool], int]
    bodies: dict[str, Any]

    def __init__(self) -> None:
        self.timed: list[tuple[str, str, int]] = []
        self.asked: Counter[tuple[str, str]] = Counter()
        self.floors: list[tuple[int, str]] = []
        self.emptied = 0
        # The number of timed requests of each strategy since the cache was emptied.
        self._since: Counter[str] = Counter()

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def empty(self) -> None:
        self.emptied += 1
        self._since.clear()

    def time(self, strategy: Strategy, path: str) -> int:
        assert not gc.isenabled()
        self.timed.append((strategy.name, path, self.emptied))
        number = self._since[strategy.name]
        self._since[strategy.name] += 1
        return round(MILLISECOND_NS * self.time_of(strategy.name, path, number))

    def ask(self, strategy: Strategy, path: str) -> Any:
        assert gc.isenabled()
        is_repeat = bool(self.asked[strategy.name, path])
        self.asked[strategy.name, path] += 1
        body = self.bodies.get(strategy.name, "the page")
        return SimpleNamespace(body=body, queries=self.queries.get((strategy.name, is_repeat), 0))

    def prepare_floor(self, path: str) -> None:
        self.floors.append((self.emptied, path))


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch) -> Visitor:
    found = Visitor()
    found.queries, found.bodies = {}, {}
    found.time_of = lambda strategy, path, number: 1
    monkeypatch.setattr(experiment, "Requester", lambda: found)
    monkeypatch.setattr(experiment, "empty_cache", found.empty)
    monkeypatch.setattr(experiment, "draw_mix", lambda seed, requests: MIX)
    sizes = Scale(quick=COLD_ROUNDS, normal=COLD_ROUNDS, thorough=COLD_ROUNDS)
    monkeypatch.setattr(experiment, "COLD_ROUNDS", sizes)
    return found


def measure(**options: Any) -> ExperimentResult:
    given: dict[str, Any] = {
        "strategies": (UNCACHED, READ_CACHE),
        "effort": Effort.QUICK,
        "path": PATH,
        "requests": REQUESTS,
        "warmup": WARMUP,
        **options,
    }
    return experiment.measure(Options(**given))


def value(result: ExperimentResult, path: str) -> float:
    figure = result.figure(*path.split("."))
    assert figure is not None, path
    assert figure.value is not None, path
    return figure.value


def test_the_summary_of_repeat_requests_leaves_out_the_warm_up(visitor: Visitor) -> None:
    """Seven requests take a second each, and then a hundred take 1, 2, … 100 ms."""
    planted = {"uncached": 10.0, "readcache": 1.0, "floor": 0.25, "floor-get": 0.5}

    def time_of(strategy: str, path: str, number: int) -> float:
        # Repeat requests follow the last cold round, in which each strategy was timed once.
        repeat = number - 1 - WARMUP
        return planted[strategy] * (repeat + 1 if repeat >= 0 else 1000)

    visitor.time_of = time_of

    result = measure()

    for name, factor in planted.items():
        times = result.samples(name, "hit", "time")
        assert times == pytest.approx([factor * number / 1000 for number in range(1, REQUESTS + 1)])
        expected = {"min": 1, "p50": 50.5, "p95": 95.05, "p99": 99.01, "max": 100, "stdev": 29.0114920}
        for statistic, milliseconds in expected.items():
            assert value(result, f"{name}.hit.{statistic}") == pytest.approx(factor * milliseconds / 1000)
        assert value(result, f"{name}.hit.requests_per_second") == pytest.approx(1000 / 50.5 / factor)
        assert value(result, f"{name}.hit.floors") == pytest.approx(factor / 0.5)
    assert value(result, "readcache.hit.times_faster") == pytest.approx(10)
    assert value(result, "uncached.hit.times_faster") == pytest.approx(1)
    assert result.figure("floor-get", "hit", "times_faster") is None


def test_figures_have_a_better_direction_and_the_median_has_an_interval(visitor: Visitor) -> None:
    visitor.time_of = lambda strategy, path, number: 1 + number % 10

    result = measure()

    higher = {figure.name for figure in result.figures if figure.better == "higher"}
    assert higher == {"requests_per_second", "times_faster"}
    for name in ("p50", "floors", "times_faster"):
        figure = result.figure("readcache", "hit", name)
        assert figure is not None
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= (figure.value or 0) <= figure.high


def test_the_first_request_of_each_cold_round_is_a_miss(visitor: Visitor) -> None:
    visitor.time_of = lambda strategy, path, number: 3 if number == 0 else 1

    result = measure()

    for name in NAMES:
        assert result.samples(name, "cold", "time") == (0.003,) * COLD_ROUNDS
        assert result.samples(name, "mix", "time") == (0.003, *[0.001] * (len(MIX) - 1))
    # The cache is emptied before the checks, before each cold round, and before the mix.
    assert visitor.emptied == 1 + COLD_ROUNDS + 1
    cold = visitor.timed[: COLD_ROUNDS * len(NAMES)]
    assert [emptied for *_, emptied in cold] == [1 + n // 4 for n in range(4, 4 * COLD_ROUNDS + 4)]
    # Emptying the cache removes the answers of the floors too, so they are stored again each time.
    assert {emptied for emptied, path in visitor.floors if path == PATH} == set(range(1, visitor.emptied + 1))
    assert {path for emptied, path in visitor.floors if emptied == visitor.emptied} == set(MIX)


def test_every_strategy_has_one_turn_in_each_round_in_a_drawn_order(visitor: Visitor) -> None:
    measure()

    rounds = [visitor.timed[start : start + 4] for start in range(0, len(visitor.timed), 4)]
    assert len(rounds) == COLD_ROUNDS + WARMUP + REQUESTS + len(MIX)
    assert all(sorted(name for name, *_ in each) == sorted(NAMES) for each in rounds)
    assert len({tuple(name for name, *_ in each) for each in rounds}) > 1
    paths = [{path for _, path, _ in each} for each in rounds]
    assert paths == [{PATH}] * (COLD_ROUNDS + WARMUP + REQUESTS) + [{path} for path in MIX]


def test_the_garbage_collector_is_on_again_after_the_run(visitor: Visitor) -> None:
    measure()

    assert gc.isenabled()


def test_queries_are_those_of_a_cold_request_and_of_a_repeat(visitor: Visitor) -> None:
    visitor.queries = {("uncached", False): 3, ("uncached", True): 3, ("readcache", False): 4}

    result = measure()

    found = {figure.path: figure.value for figure in result.figures if figure.name == "queries"}
    assert found == {
        "uncached.cold.queries": 3,
        "uncached.hit.queries": 3,
        "readcache.cold.queries": 4,
        "readcache.hit.queries": 0,
    }


def test_a_cache_that_never_hits_in_the_mix_is_measured(visitor: Visitor) -> None:
    ask = visitor.ask

    def ask_for_one_that_is_never_cached(strategy: Strategy, path: str) -> Any:
        answer = ask(strategy, path)
        return SimpleNamespace(body=answer.body, queries=2 if path == "/b/" else answer.queries)

    visitor.ask = ask_for_one_that_is_never_cached  # type: ignore[method-assign]

    assert value(measure(), "readcache.hit.queries") == 0


def test_one_query_of_a_repeat_is_an_error(visitor: Visitor) -> None:
    visitor.queries = {("readcache", True): 1}

    with pytest.raises(BenchmarkError, match=r"readcache ran 1 quer.* to repeat /products/\?page=2"):
        measure()


def test_another_body_is_an_error(visitor: Visitor) -> None:
    visitor.bodies = {"readcache": "another page"}

    with pytest.raises(BenchmarkError, match=r"readcache answers .* with another body than uncached"):
        measure()


def test_each_round_is_the_same_share_of_the_progress(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = Scale(quick=len(MIX), normal=len(MIX), thorough=len(MIX))
    monkeypatch.setattr(experiment, "MIX_REQUESTS", sizes)
    done: list[float] = []
    options = Options(strategies=(UNCACHED,), requests=REQUESTS, on_progress=done.append)

    experiment.measure(options)

    rounds = COLD_ROUNDS + experiment.WARMUP + REQUESTS + len(MIX)
    assert done == pytest.approx([1 / rounds] * rounds)


def test_each_case_has_a_table_with_its_figures(visitor: Visitor) -> None:
    visitor.time_of = lambda strategy, path, number: 2 if strategy == "uncached" else 1

    cold, hit, mix = experiment.tables(measure())

    assert [table.title for table in (cold, hit, mix)] == [
        f"First request for {PATH}, nothing cached",
        f"Repeat requests for {PATH}",
        "5 requests for a mix of 3 pages",
    ]
    assert [bool(table.legend) for table in (cold, hit, mix)] == [False, False, True]
    for table in (cold, hit, mix):
        assert [row[0].text for row in table.rows] == NAMES
        median = next(place for place, head in enumerate(table.heads) if head.startswith("p50"))
        # A floor is never the best.
        assert [row[0].text for row in table.rows if row[median].rating == "best"] == ["readcache"]
    assert {"p99 ms", "times faster", "floors"} < set(hit.heads)
    assert ("queries" in hit.heads, "queries" in mix.heads) == (True, False)


def test_the_verdicts_compare_repeats_and_the_mix_with_no_cache(visitor: Visitor) -> None:
    visitor.time_of = lambda strategy, path, number: 2 if strategy == "uncached" else 1

    assert measure().verdicts == (
        "readcache: a repeat request is 2.0 times faster than uncached (95% interval 2.0 to 2.0).",
        (
            "readcache: a request of the mix is 2.0 times faster than uncached, or this is chance: "
            "there were too few requests to tell."
        ),
    )


# Warnings of doubtful figures


@pytest.mark.parametrize(
    ("times", "warnings"),
    [
        ([1.0] * 100, []),
        # The next two have standard deviations of 9.0 % and 11.1 %.
        ([1.0, 1.2] * 50 + [1.1] * 20, []),
        (
            [0.9, 1.125] * 50,
            ["mine: the standard deviation is 11% of the mean. Close other programs or raise --requests."],
        ),
        ([1.0] * 99, ["mine: no p99 from 99 samples. Raise --requests to 100."]),
        # Ten times the median does not count as an outlier.
        (
            [1.0] * 99 + [10.0],
            ["mine: the standard deviation is 83% of the mean. Close other programs or raise --requests."],
        ),
        (
            [1.0] * 98 + [10.1] * 2,
            [
                "mine: the standard deviation is 108% of the mean. Close other programs or raise --requests.",
                "mine: 2 of 100 requests took more than 10.0 s.",
            ],
        ),
    ],
)
def test_doubtful_times_are_warned_of(times: list[float], warnings: list[str]) -> None:
    assert list(experiment._warnings({"mine": times})) == warnings
