"""Judges the answers of readers by the writes that were acknowledged, and by the database.

Each target is written at most once, so it has two states: before the write and after it. An answer is
judged by what it shows of each target:

- before the write begins, it shows the state before;
- where the request began after the write was acknowledged, it shows the state after;
- in between it may show anything, unless the write changed nothing: it was rolled back;
- the write of a killed writer was not acknowledged. Where the database shows it, each request that
  begins a lease later must show it too.

A writer that could not reach Redis may be acknowledged while others read old entries until it reaches
Redis again (docs/design.md). Its write is due when the fault is over and its rotations were sent.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from soak.actions import LEASE_SECONDS, REDIS_SECONDS
from soak.targets import Facts, Target, shown

# An observation of the database and a request are not at the same instant.
SLACK_SECONDS = 0.1
# A process looks once a second whether Redis is back, and then sends its pending rotations.
FLUSHED_AFTER_SECONDS = 1.0 + REDIS_SECONDS + 0.5


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``began`` and ``ended`` are monotonic times outside the reader: before and after its own request."""

    reader: str
    url: str
    began: float
    ended: float
    code: int
    cache_status: str
    body: str


@dataclass(kw_only=True)
class Change:
    """A write of one target. ``due`` is ``None`` until its outcome is known; it is minus infinity where the
    write did not happen.
    """

    began: float
    after: Facts = field(default_factory=dict)
    acknowledged: float = math.inf
    due: float | None = None


@dataclass(kw_only=True)
class CutOff:
    """A time in which a writer may not reach Redis."""

    began: float
    ended: float = math.inf


class Oracle:
    """For one round. ``findings`` are sentences; ``judged`` counts answers about acknowledged writes."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.judged = 0
        self._lock = threading.Lock()
        self._before: dict[Target, Facts] = {}
        self._changes: dict[Target, Change] = {}
        self._waiting: list[tuple[Answer, Target, str]] = []
        self._cut_offs: list[CutOff] = []

    @property
    def targets(self) -> list[Target]:
        return list(self._before)

    def add(self, target: Target, facts: Facts) -> None:
        self._before[target] = facts

    # What happens

    def begin(self, target: Target, at: float) -> None:
        with self._lock:
            self._changes[target] = Change(began=at)

    def settle(self, target: Target, at: float, after: Facts) -> None:
        """The call of the writer has returned at this time, and the database shows this since.

        A rollback is a write that has changed nothing, whatever the database shows in the meantime.
        """
        with self._lock:
            if after == self._before[target]:
                self._settle_as_nothing(target)
                return
            change = self._changes[target]
            change.after, change.acknowledged, change.due = after, at, at
            self._judge_waiting()

    def observe(self, target: Target, at: float, facts: Facts) -> None:
        """What the database shows of the target of a killed writer, read before this time."""
        with self._lock:
            change = self._changes[target]
            if facts != (change.after or self._before[target]):
                change.after, change.acknowledged = facts, at

    def give_up(self, target: Target) -> None:
        """Nothing of a killed writer can happen any more."""
        with self._lock:
            change = self._changes[target]
            if change.after:
                change.due = change.acknowledged + LEASE_SECONDS + SLACK_SECONDS
                self._judge_waiting()
            else:
                self._settle_as_nothing(target)

    def begin_cut_off(self, at: float) -> CutOff:
        cut_off = CutOff(began=at)
        self._cut_offs.append(cut_off)
        return cut_off

    def report(self, finding: str) -> None:
        self.findings.append(finding)

    def _settle_as_nothing(self, target: Target) -> None:
        change = self._changes[target]
        change.after, change.due = self._before[target], -math.inf
        self._judge_waiting()

    # What readers are shown

    def judge(self, answer: Answer) -> None:
        """At once, or when the outcome of a write is known that overlaps the request."""
        if answer.code >= 500:
            self.report(f"{answer.reader} got {answer.code} for {answer.url}: {answer.body[:500]}")
            return
        with self._lock:
            for target, fact in shown(answer.url, answer.code, answer.body, self._before):
                self._judge_fact(answer, target, fact)

    def quiet_at(self) -> float:
        """When each write that has happened is due."""
        with self._lock:
            return max((self._due(change) for change in self._changes.values()), default=-math.inf)

    def _judge_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for answer, target, fact in waiting:
            self._judge_fact(answer, target, fact)

    def _judge_fact(self, answer: Answer, target: Target, fact: str) -> None:
        before, change = self._before[target][answer.url], self._changes.get(target)
        if change is None or change.began > answer.ended:
            expected = before
        elif change.due is None:
            self._waiting.append((answer, target, fact))
            return
        elif answer.began >= self._due(change):
            expected = change.after[answer.url]
            self.judged += 1
        else:
            return
        if fact != expected:
            self.report(self._finding(answer, target, fact, expected, change))

    def _due(self, change: Change) -> float:
        due = change.due if change.due is not None else math.inf
        for cut_off in self._cut_offs:
            over = cut_off.ended + FLUSHED_AFTER_SECONDS
            if cut_off.began <= change.acknowledged and change.began <= over and due > -math.inf:
                due = max(due, over)
        return due

    def _finding(
        self, answer: Answer, target: Target, fact: str, expected: str, change: Change | None
    ) -> str:
        due = self._due(change) if change else -math.inf
        late = f", {answer.began - due:.2f} s after it was due" if due > -math.inf else ""
        return (
            f"{answer.reader} asked for {answer.url}{late} ({answer.cache_status}): of {target.label} it was "
            f"shown {fact}, and should have been shown {expected}."
        )
