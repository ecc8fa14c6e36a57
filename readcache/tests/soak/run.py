"""Runs rounds until one of them finds something, or the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from instruments.scratch_redis import scratch_redis
from soak.actions import Round
from soak.participants import Crew
from soak.processes.slow_database import slow_database
from soak.rounds import RoundReport, RoundRun


def run_soak(
    rounds: Iterable[Round],
    *,
    seconds: float,
    without: str = "",
    on_round: Callable[[RoundReport], None] = lambda report: None,
) -> list[RoundReport]:
    """The reports of all rounds, the last of which may have findings. No round begins after ``seconds``."""
    reports: list[RoundReport] = []
    deadline = time.monotonic() + seconds
    with _crew(without) as crew:
        for each in rounds:
            if time.monotonic() > deadline or (reports and reports[-1].findings):
                break
            crew.replace_killed_writers()
            reports.append(RoundRun(each, crew).run())
            on_round(reports[-1])
    return reports


@contextmanager
def _crew(without: str) -> Iterator[Crew]:
    with slow_database(), scratch_redis() as server:
        crew = Crew(server, without=without)
        try:
            yield crew
        finally:
            crew.end()
