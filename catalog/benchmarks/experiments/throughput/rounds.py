"""Rounds of load in which every strategy has a turn, on servers that run at the same time."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from catalog.benchmarks.experiments.throughput.generator import LoadGenerator, Outcome
from catalog.benchmarks.processes.servers import Server
from catalog.benchmarks.strategies.registry import Strategy

WARM_UP_SECONDS = 0.1
LEAD_SECONDS = 0.04


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How many workers serve, and how many clients send requests."""

    workers: int
    clients: int

    @property
    def case(self) -> str:
        return f"w{self.workers}c{self.clients}"


RateOf = Callable[[Strategy, Setting], float]
Outcomes = Mapping[tuple[str, str], Sequence[Outcome]]


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Only one server at a time is under load, with requests for one strategy.

    The strategies of a setting follow each other without a pause, in an order drawn for each round, so
    that a busy moment of the machine affects all alike. ``servers`` maps the number of workers and the
    strategy's name to a server.
    """

    generator: LoadGenerator
    servers: Mapping[int, Mapping[str, Server]]
    strategies: Sequence[Strategy]
    settings: Sequence[Setting]
    path: str
    seed: int
    on_turn: Callable[[], object]

    def warm_up(self) -> None:
        """With more clients than workers, so that every worker gets requests."""
        for workers in self.servers:
            for strategy in self.strategies:
                setting = Setting(workers=workers, clients=4 * workers)
                self._load(strategy, setting, seconds=WARM_UP_SECONDS)
                self.on_turn()

    def take_turns(self, *, rounds: int, seconds: float, rate_of: RateOf | None = None) -> Outcomes:
        """The outcomes by strategy and case, one for each round.

        The loop is closed, or with ``rate_of`` open: requests are due at that constant rate, and a turn with
        the rate 0 is left out.
        """
        chance = random.Random(self.seed)
        outcomes: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
        for _ in range(rounds):
            for setting in chance.sample(self.settings, len(self.settings)):
                for strategy in chance.sample(self.strategies, len(self.strategies)):
                    rate = rate_of(strategy, setting) if rate_of else None
                    if rate != 0:
                        outcome = self._load(strategy, setting, seconds=seconds, rate=rate)
                        outcomes[strategy.name, setting.case].append(outcome)
                    self.on_turn()
        return outcomes

    def _load(
        self, strategy: Strategy, setting: Setting, *, seconds: float, rate: float | None = None
    ) -> Outcome:
        server = self.servers[setting.workers][strategy.name]
        outcome = self.generator.load(
            server.port,
            strategy.url(self.path),
            clients=setting.clients,
            seconds=seconds,
            lead_seconds=LEAD_SECONDS,
            rate=rate,
        )
        if server.process.has_ended():
            raise server.process.failed()
        return outcome
