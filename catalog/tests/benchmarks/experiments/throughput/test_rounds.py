from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.throughput.rounds import LEAD_SECONDS, WARM_UP_SECONDS, Rounds, Setting
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED

STRATEGIES = (UNCACHED, TEXTBOOK, READ_CACHE)
SETTINGS = [Setting(workers=workers, clients=clients) for workers in (1, 2) for clients in (2, 8)]


class RecordingGenerator:
    """Records each load as ``(port, url, clients, rate)``, and its seconds with those before it."""

    def __init__(self) -> None:
        self.loads: list[tuple[int, str, int, float | None]] = []
        self.seconds: set[tuple[float, float]] = set()

    def load(
        self, port: int, url: str, *, clients: int, rate: float | None, seconds: float, lead_seconds: float
    ) -> str:
        self.loads.append((port, url, clients, rate))
        self.seconds.add((seconds, lead_seconds))
        return f"outcome {len(self.loads)}"


def server(port: int, *, exit_code: int | None = None) -> Any:
    process = SimpleNamespace(
        has_ended=lambda: exit_code is not None, failed=lambda: BenchmarkError("It has ended.")
    )
    return SimpleNamespace(port=port, process=process)


def new_rounds(
    *, seed: int = 0, exit_code: int | None = None, on_turn: Callable[[], object] = lambda: None
) -> Any:
    generator: Any = RecordingGenerator()
    return Rounds(
        generator=generator,
        servers={
            workers: dict.fromkeys(
                [strategy.name for strategy in STRATEGIES], server(1000 + workers, exit_code=exit_code)
            )
            for workers in (1, 2)
        },
        strategies=STRATEGIES,
        settings=SETTINGS,
        path="/products/",
        seed=seed,
        on_turn=on_turn,
    )


def test_each_round_has_a_turn_of_each_strategy_in_each_setting() -> None:
    rounds = new_rounds()

    outcomes = rounds.take_turns(rounds=3, seconds=0.1)

    loads = rounds.generator.loads
    assert {key: len(each) for key, each in outcomes.items()} == {
        (strategy.name, setting.case): 3 for strategy in STRATEGIES for setting in SETTINGS
    }
    for number in range(3):
        assert len(set(loads[12 * number : 12 * (number + 1)])) == 12
    assert rounds.generator.seconds == {(0.1, LEAD_SECONDS)}


def test_each_outcome_is_that_of_its_own_load() -> None:
    rounds = new_rounds()

    outcomes = rounds.take_turns(rounds=2, seconds=0.1, rate_of=lambda strategy, setting: 50)

    loads = rounds.generator.loads
    for (name, case), of_case in outcomes.items():
        [strategy] = [each for each in STRATEGIES if each.name == name]
        [setting] = [each for each in SETTINGS if each.case == case]
        load = (1000 + setting.workers, strategy.url("/products/"), setting.clients, 50)
        assert of_case == [f"outcome {n}" for n, each in enumerate(loads, start=1) if each == load]


def test_the_strategies_of_a_setting_follow_each_other_in_a_drawn_order() -> None:
    rounds = new_rounds()
    rounds.take_turns(rounds=4, seconds=0.1)

    loads = rounds.generator.loads
    groups = [loads[start : start + 3] for start in range(0, len(loads), 3)]
    assert all(len({(port, clients) for port, _, clients, _ in group}) == 1 for group in groups)
    assert len({tuple(url for _, url, _, _ in group) for group in groups}) > 1


def test_the_same_seed_draws_the_same_order() -> None:
    orders = []
    for seed in (0, 0, 1):
        rounds = new_rounds(seed=seed)
        rounds.take_turns(rounds=2, seconds=0.1)
        orders.append(rounds.generator.loads)

    assert orders[0] == orders[1] != orders[2]


def test_an_open_loop_leaves_out_a_strategy_with_the_rate_zero() -> None:
    rounds = new_rounds()

    outcomes = rounds.take_turns(
        rounds=1, seconds=0.1, rate_of=lambda strategy, _: 0 if strategy is TEXTBOOK else 50
    )

    assert {strategy for strategy, _ in outcomes} == {"uncached", "readcache"}
    assert {rate for *_, rate in rounds.generator.loads} == {50}


def test_the_warm_up_has_more_clients_than_workers_in_every_strategy() -> None:
    turns = count()
    rounds = new_rounds(on_turn=lambda: next(turns))

    rounds.warm_up()

    assert sorted((port, clients) for port, _, clients, _ in rounds.generator.loads) == [
        (1001, 4), (1001, 4), (1001, 4), (1002, 8), (1002, 8), (1002, 8)
    ]  # fmt: skip
    assert rounds.generator.seconds == {(WARM_UP_SECONDS, LEAD_SECONDS)}
    assert next(turns) == 6


def test_a_server_that_has_ended_ends_the_measurement() -> None:
    with pytest.raises(BenchmarkError, match=r"It has ended\."):
        new_rounds(exit_code=1).take_turns(rounds=1, seconds=0.1)


def test_a_turn_that_is_left_out_counts_as_progress() -> None:
    turns = count()
    new_rounds(on_turn=lambda: next(turns)).take_turns(rounds=2, seconds=0.1, rate_of=lambda _, __: 0)

    assert next(turns) == 2 * len(STRATEGIES) * len(SETTINGS)
