"""The figures, verdicts and warnings that follow from the rounds of load."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.throughput.generator import Outcome
from catalog.benchmarks.figures.results import Figure, Series
from catalog.benchmarks.figures.statistics import median_figure, summarise
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.strategies.registry import FLOOR

RATE, OF_FLOOR, ERRORS = "requests_per_second", "of_floor", "errors"
ARRIVALS, MEDIAN, TAIL = "arrivals_per_second", "p50", "p99"
# With less than this many times the floor's rate, the load generator is near its limit.
FEWEST_CEILINGS = 2.0
UNSTABLE_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class Turns:
    """The outcome of each round of one strategy in one case. ``floor`` has those of the floor.

    ``arrivals_per_second`` is the rate of the open loop; 0 if there was none.
    """

    strategy: str
    case: str
    closed: Sequence[Outcome]
    opened: Sequence[Outcome]
    floor: Sequence[Outcome]
    arrivals_per_second: float
    seed: int

    @property
    def rates(self) -> tuple[float, ...]:
        return tuple(outcome.requests_per_second for outcome in self.closed)

    @property
    def shares_of_floor(self) -> tuple[float, ...]:
        """Round by round, so that a slow phase of the machine cancels out."""
        floors = [outcome.requests_per_second for outcome in self.floor]
        if not all(floors):
            raise BenchmarkError(f"The floor answered nothing in a round of {self.case}. {self.first_error}")
        return tuple(rate / floor for rate, floor in zip(self.rates, floors, strict=True))

    @property
    def medians(self) -> tuple[float, ...]:
        return tuple(median(outcome.latencies) for outcome in self.opened if outcome.latencies)

    @property
    def p99(self) -> float | None:
        """Of all requests of the open loop, in all rounds: a median of the rounds would hide stalls."""
        latencies = [latency for outcome in self.opened for latency in outcome.latencies]
        return summarise(latencies).p99 if latencies else None

    @property
    def requests(self) -> int:
        return sum(outcome.requests for outcome in (*self.closed, *self.opened))

    @property
    def errors(self) -> int:
        return sum(outcome.errors for outcome in (*self.closed, *self.opened))

    @property
    def first_error(self) -> str:
        return next((each.first_error for each in (*self.closed, *self.opened) if each.first_error), "")


def figures_of(turns: Turns) -> Iterator[Figure]:
    figure = partial(Figure, strategy=turns.strategy, case=turns.case)
    for series in series_of(turns):
        yield median_figure(series, seed=turns.seed, better="lower" if series.unit == "s" else "higher")
    if not turns.medians:
        yield figure(name=MEDIAN, value=None, unit="s")
    yield figure(name=ARRIVALS, value=turns.arrivals_per_second, unit="1/s", better="neither")
    yield figure(name=TAIL, value=turns.p99, unit="s")
    yield figure(name=ERRORS, value=turns.errors, unit="count")


def series_of(turns: Turns) -> Iterator[Series]:
    """One value for each round. Answers of one round wait for each other, so they are not independent."""
    series = partial(Series, strategy=turns.strategy, case=turns.case)
    yield series(name=RATE, unit="1/s", values=turns.rates)
    if turns.strategy != FLOOR.name:
        yield series(name=OF_FLOOR, unit="share", values=turns.shares_of_floor)
    if turns.medians:
        yield series(name=MEDIAN, unit="s", values=turns.medians)


def verdict(turns: Turns, *, workers: int, clients: int) -> str:
    rate, share = median(turns.rates), median(turns.shares_of_floor)
    words = (
        f"{turns.strategy}: {rate:,.0f} answers per second from {workers} workers to {clients} clients, "
        f"{share:.0%} of the floor's rate"
    )
    if turns.p99 is not None:
        words += f"; at half of that, 99% within {say(turns.p99, 's')}"
    if turns.errors:
        words += f"; {turns.errors:,} of {turns.requests:,} requests FAILED"
    return f"{words}."


def warnings(all_turns: Sequence[Turns], *, workers: int, generators: int) -> Iterator[str]:
    """Reasons to doubt the figures, each with advice."""
    cores = os.cpu_count() or 1
    if workers + 1 >= cores:
        yield (
            f"{workers} workers share {cores} cores with Redis and the load generator, so fast strategies "
            "may be faster than shown. Use a machine with more cores."
        )
    for turns in all_turns:
        ceilings = [each.ceiling_per_second for each in turns.closed if each.ceiling_per_second]
        if turns.strategy == FLOOR.name and ceilings:
            ceiling, rate = median(ceilings), median(turns.rates)
            if ceiling < FEWEST_CEILINGS * rate:
                yield (
                    f"{turns.case}: the limit of the load generator, {ceiling:,.0f} requests per second from "
                    f"{generators} processes, is near the floor's {rate:,.0f}, so fast strategies may be "
                    "faster than shown. Use a machine with more cores."
                )
        if turns.errors:
            yield (
                f"{turns.strategy}, {turns.case}: {turns.errors:,} of {turns.requests:,} requests failed, "
                f"the first with: {turns.first_error}."
            )
    unstable = [turns for turns in all_turns if _is_unstable(turns)]
    if unstable:
        yield (
            f"The rates of {len(unstable)} of {len(all_turns)} rows differ by more than "
            f"{UNSTABLE_SHARE:.0%} between rounds. Close other programs or measure with --thorough."
        )


def _is_unstable(turns: Turns) -> bool:
    return max(turns.rates) - min(turns.rates) > UNSTABLE_SHARE * median(turns.rates)
