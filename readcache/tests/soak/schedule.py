"""The schedule of a soak: rounds of writes, kills and faults, all drawn from a seed.

Each round draws the few kinds of writes, shapes of transactions and faults that occur in it. Were all
of them in every round, the commoner ones would hide the effects of the others: a rotation by any writer
ends a stale answer. Testing like this is known as swarm testing (Groce and others, ISSTA 2012).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, cycle
from operator import itemgetter
from random import Random
from typing import TypeVar

from instruments.writes import KINDS
from soak.actions import (
    FAULTS,
    LEASE_SECONDS,
    LONGEST_SHAPE_SECONDS,
    READERS,
    SNAPSHOT,
    TARGETS_OF_A_WRITER,
    WRITERS,
    Fault,
    FaultKind,
    Kill,
    Round,
    Step,
    Write,
)
from soak.processes.shapes import SHAPES, Shape

T = TypeVar("T")
# Of the writers, those that are killed in a round.
KILLED_SHARE = 0.6
# Of the writers, those that commit nothing in a round.
QUIET_SHARE = 0.35
# Of the killed writers, those after whose guard others can write.
SLOW_KILLED_SHARE = 0.6
# Of the rounds, those in which nobody commits after a writer was killed.
NOTHING_AFTER_KILL_SHARE = 0.6
# A process that loses two connections at once has nothing left to try.
SHORTEST_PAUSE_BETWEEN_FAULTS_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How one writer writes in one round. With ``slow_shapes`` others can write after its guard."""

    kinds: tuple[str, ...]
    shapes: tuple[Shape, ...]
    slow_shapes: tuple[Shape, ...]
    kill_at: int | None

    @property
    def changes_something(self) -> bool:
        return any(shape.commits for shape in self.shapes)


def make_rounds(seed: int, first: int, *, vendor: str) -> Iterator[Round]:
    """All rounds from the first one on."""
    return (make_round(seed, number, vendor=vendor) for number in count(first))


def make_round(seed: int, number: int, *, vendor: str) -> Round:
    """``vendor`` is the database's: "sqlite" or "postgresql"."""
    chance = Random(f"{seed}/{number}")
    weights = [kind.weight for kind in FAULTS]
    faults = chance.sample(FAULTS, chance.choice([0, 1, 1, 2, 2]), counts=weights)
    if any(fault.forgets for fault in faults):
        faults.append(SNAPSHOT)
    # A writer that is killed while rotations are pending takes them with it, and nobody knows.
    may_kill = not any(fault.severs and not fault.forgets for fault in faults)
    # Of the whole round, so that its writers often write the same tables.
    kinds = chance.sample([str(kind) for kind in KINDS], chance.randint(1, 5))
    habits = [_habits(chance, vendor, kinds, may_kill=may_kill) for _ in range(WRITERS)]
    slow_fill_seconds = chance.choice([0.0, 0.0, 0.01, 0.04])
    return Round(
        number=number,
        slow_fill_seconds=slow_fill_seconds,
        steps=tuple(_steps(chance, habits, faults, vendor)),
    )


def _habits(chance: Random, vendor: str, kinds: list[str], *, may_kill: bool) -> Habits:
    possible = [shape for shape in SHAPES.values() if vendor in shape.vendors]
    is_quiet = chance.random() < QUIET_SHARE
    candidates = [shape for shape in possible if not (is_quiet and shape.commits)]
    shapes = chance.sample(candidates, chance.choice([1, 1, 2, 3]))
    # SQLite does not go on. There, another writer can write between a guard and its write in autocommit only.
    slow = [shape for shape in possible if shape.goes_on_when_killed] or [SHAPES["autocommit"]]
    is_killed = may_kill and chance.random() < KILLED_SHARE
    # More often at the last target: writes that come later hide what the killed writer has left.
    kill_at = chance.choice([*range(TARGETS_OF_A_WRITER), *[TARGETS_OF_A_WRITER - 1] * 2])
    return Habits(
        kinds=tuple(kinds),
        shapes=tuple(shapes),
        slow_shapes=tuple(slow) if any(shape.commits for shape in shapes) else (),
        kill_at=kill_at if is_killed else None,
    )


def _steps(chance: Random, habits: list[Habits], faults: list[FaultKind], vendor: str) -> Iterator[Step]:
    pause_seconds = chance.choice([0.05, 0.2, 0.5])
    timed = [
        (at_seconds, _write(chance, habits[writer], vendor, writer, target))
        for at_seconds, (writer, target) in _at_random_times(chance, pause_seconds, _turns(chance, habits))
    ]
    if chance.random() < NOTHING_AFTER_KILL_SHARE:
        timed = [*_without_commits_after_a_kill(timed)]
    actions: list[tuple[float, Write | Fault]] = [
        *timed,
        *_faults(chance, faults, pause_seconds, until=timed[-1][0]),
    ]
    before_seconds = 0.0
    for at_seconds, action in sorted(actions, key=itemgetter(0)):
        yield Step(after_seconds=at_seconds - before_seconds, action=action)
        before_seconds = at_seconds


def _at_random_times(chance: Random, pause_seconds: float, turns: Iterable[T]) -> Iterator[tuple[float, T]]:
    at_seconds = 0.0
    for turn in turns:
        at_seconds += chance.uniform(0, pause_seconds)
        yield at_seconds, turn


def _faults(
    chance: Random, faults: list[FaultKind], pause_seconds: float, *, until: float
) -> Iterator[tuple[float, Fault]]:
    at_seconds = 0.0
    while faults and at_seconds < until:
        at_seconds += SHORTEST_PAUSE_BETWEEN_FAULTS_SECONDS + chance.uniform(0, 3 * pause_seconds)
        fault = _fault(chance, chance.choice(faults))
        yield at_seconds, fault
        at_seconds += fault.seconds


def _without_commits_after_a_kill(writes: list[tuple[float, Write]]) -> Iterator[tuple[float, Write]]:
    """Their rotations would end the entries that the killed writer has left.

    Those that come while the killed writer waits for its late guard stay.
    """
    quiet_after_seconds = math.inf
    for at_seconds, write in writes:
        if at_seconds <= quiet_after_seconds or not SHAPES[write.shape].commits:
            yield at_seconds, write
        if write.kill:
            quiet_after_seconds = min(quiet_after_seconds, at_seconds + write.kill.late_by_seconds)


def _turns(chance: Random, habits: list[Habits]) -> list[tuple[int, int]]:
    """The writer and its target, for each write of the round.

    Each writer writes each target once, and a writer that changes nothing does so twice: it must guard
    for longer than a token lives after the other one was killed.
    """
    turns = [
        writer
        for writer, its in enumerate(habits)
        for _ in range(TARGETS_OF_A_WRITER * (1 if its.changes_something else 2))
    ]
    chance.shuffle(turns)
    targets = [cycle(range(TARGETS_OF_A_WRITER)) for _ in habits]
    return [(writer, next(targets[writer])) for writer in turns]


def _write(chance: Random, habits: Habits, vendor: str, writer: int, target: int) -> Write:
    is_killed = habits.kill_at == target
    shape = chance.choice(habits.shapes)
    if is_killed and habits.slow_shapes and chance.random() < SLOW_KILLED_SHARE:
        shape = chance.choice(habits.slow_shapes)
    # The token that was guarded is gone before the write of a killed writer happens.
    shortest = 1.1 * LEASE_SECONDS if is_killed else 0.05
    longest = LONGEST_SHAPE_SECONDS[vendor]
    seconds = chance.uniform(min(shortest, longest), longest) if shape.takes_time else 0.0
    kinds = [kind for kind in habits.kinds if shape.accepts(kind)] or ["update"]
    return Write(
        writer=writer,
        target=target,
        kind=chance.choice(kinds),
        shape=shape.name,
        seconds=seconds,
        kill=_kill(chance, seconds) if is_killed else None,
    )


def _kill(chance: Random, seconds: float) -> Kill:
    if seconds and chance.random() < 0.7:
        return Kill(after_seconds=chance.uniform(0, seconds))
    return Kill(at_request=chance.choice([1, 2, 2, 2, 3]), late_by_seconds=chance.choice([0.0, 0.2, 0.4]))


def _fault(chance: Random, kind: FaultKind) -> Fault:
    link = chance.choice([None, *range(WRITERS + READERS)]) if kind.of_link else None
    seconds = chance.uniform(*kind.seconds)
    return Fault(kind=kind.name, seconds=seconds, link=link, chance=chance.random())
