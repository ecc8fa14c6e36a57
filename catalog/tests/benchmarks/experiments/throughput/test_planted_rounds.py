"""Rounds with planted outcomes give exact figures, verdicts and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from catalog.benchmarks.experiments.throughput import experiment
from catalog.benchmarks.experiments.throughput.generator import Outcome
from catalog.benchmarks.experiments.throughput.rounds import Setting
from catalog.benchmarks.figures.results import ExperimentResult
from catalog.benchmarks.options import Effort, Options
from catalog.benchmarks.strategies.registry import FLOORS, READ_CACHE, UNCACHED, Strategy
from catalog.tests.benchmarks.experiments.throughput.test_summary import outcome

OPTIONS = Options(strategies=(UNCACHED, READ_CACHE), effort=Effort.NORMAL, path="/products/?page=2", seed=3)
SETTINGS = [Setting(workers=workers, clients=clients) for workers in (1, 2) for clients in (2, 8)]
STRATEGIES = (UNCACHED, READ_CACHE, *FLOORS)
# Answers per second in each round with one worker. Two workers give twice as many.
RATES = {"uncached": (10, 20, 60), "readcache": (100, 300, 200), "floor": (400,) * 3, "floor-get": (350,) * 3}

TURNS = [
    ((strategy.name, setting.case), strategy, setting) for strategy in STRATEGIES for setting in SETTINGS
]

RateOf = Callable[[Strategy, Setting], float]
Outcomes = dict[tuple[str, str], Sequence[Outcome]]


class Rounds:
    """Replaces the real rounds. ``due`` holds the rate of each open loop by strategy and case."""

    def __init__(self) -> None:
        self.settings, self.strategies = SETTINGS, STRATEGIES
        self.closed: Outcomes = {
            key: [outcome(setting.workers * rate, errors=int(rate == 20)) for rate in RATES[strategy.name]]
            for key, strategy, setting in TURNS
        }
        self.asked: list[tuple[int, float]] = []
        self.due: dict[tuple[str, str], float] = {}

    def take_turns(self, *, rounds: int, seconds: float, rate_of: RateOf | None = None) -> Outcomes:
        self.asked.append((rounds, seconds))
        if rate_of is None:
            return dict(self.closed)
        self.due = {key: rate_of(strategy, setting) for key, strategy, setting in TURNS}
        # "uncached" has answered nothing.
        return {key: [outcome(0, milliseconds=[5] * 100)] for key in self.due if key[0] != "uncached"}


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


@pytest.fixture
def result(rounds: Any) -> ExperimentResult:
    turns = experiment._load(rounds, OPTIONS)
    return experiment._result(OPTIONS, turns, generators=3)


def value(result: ExperimentResult, path: str) -> float | None:
    figure = result.figure(*path.split("."))
    assert figure is not None, path
    return figure.value


def test_the_open_loop_is_due_at_half_of_the_median_rate(rounds: Any) -> None:
    experiment._load(rounds, OPTIONS)

    assert rounds.due["readcache", "w1c2"] == 100
    assert rounds.due["readcache", "w2c8"] == 200
    assert rounds.due["uncached", "w1c8"] == 10
    effort = OPTIONS.effort
    assert rounds.asked == [
        (experiment.CLOSED_ROUNDS.at(effort), experiment.CLOSED_SECONDS.at(effort)),
        (experiment.OPEN_ROUNDS.at(effort), experiment.OPEN_SECONDS.at(effort)),
    ]


def test_each_case_has_the_figures_of_its_own_rounds(result: ExperimentResult) -> None:
    for workers in (1, 2):
        for clients in (2, 8):
            case = f"w{workers}c{clients}"
            assert value(result, f"readcache.{case}.requests_per_second") == 200 * workers
            assert value(result, f"readcache.{case}.of_floor") == 0.5
            assert value(result, f"readcache.{case}.arrivals_per_second") == 100 * workers
            assert value(result, f"readcache.{case}.p50") == 0.005
            assert value(result, f"readcache.{case}.p99") == 0.005
            assert value(result, f"readcache.{case}.errors") == 0
            assert value(result, f"uncached.{case}.p50") is None
            assert value(result, f"uncached.{case}.errors") == 1
            assert value(result, f"floor-get.{case}.of_floor") == 0.875
            assert result.figure("floor", case, "of_floor") is None
            rates = tuple(workers * rate for rate in RATES["readcache"])
            assert result.samples("readcache", case, "requests_per_second") == rates


def test_the_verdicts_are_of_two_workers_and_eight_clients(result: ExperimentResult) -> None:
    assert result.verdicts == (
        (
            "uncached: 40 answers per second from 2 workers to 8 clients, 5% of the floor's rate; "
            "1 of 30 requests FAILED."
        ),
        (
            "readcache: 400 answers per second from 2 workers to 8 clients, 50% of the floor's rate; "
            "at half of that, 99% within 5.00 ms."
        ),
    )


def test_the_parameters_say_how_to_do_it_again(result: ExperimentResult) -> None:
    assert result.parameters["path"] == OPTIONS.path
    assert (result.parameters["workers"], result.parameters["clients"]) == ([1, 2], [2, 8, 32])
    assert (result.parameters["generator_processes"], result.parameters["open_share"]) == (3, 0.5)


def test_there_is_a_table_for_each_number_of_workers_that_marks_errors(result: ExperimentResult) -> None:
    one, two = experiment.tables(result)

    assert one.title == "Answers of /products/?page=2 from 1 worker"
    assert two.title == "Answers of /products/?page=2 from 2 workers"
    assert [bool(table.legend) for table in (one, two)] == [False, True]
    for table, workers in ((one, "w1"), (two, "w2")):
        errors = table.heads.index("errors")
        bad = {row[1].text for row in table.rows if row[errors].rating == "bad"}
        assert bad == {"uncached"}
        assert {row[0].text for row in table.rows} == {f"{workers}c2", f"{workers}c8"}


def test_the_workers_and_the_generators_of_the_run_are_those_that_are_warned_of(
    rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def warnings(all_turns: Any, **options: Any) -> list[str]:
        given.update(options)
        return ["Busy."]

    monkeypatch.setattr(experiment, "warnings", warnings)
    turns = experiment._load(rounds, OPTIONS)

    assert experiment._result(OPTIONS, turns, generators=3).warnings == ("Busy.",)
    assert given == {"workers": 2, "generators": 3}


def test_a_strategy_without_an_answer_has_no_open_loop(rounds: Any) -> None:
    rounds.closed |= {key: [outcome(0)] for key in rounds.closed if key[0] == "uncached"}

    turns = experiment._load(rounds, OPTIONS)

    assert rounds.due["uncached", "w1c2"] == 0
    assert {each.arrivals_per_second for each in turns if each.strategy == "uncached"} == {0}
