"""What happens in a round of a soak: writes, kills and faults, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

WRITERS = 2
READERS = 2
TARGETS_OF_A_WRITER = 6
LEASE_SECONDS = 1.0
# Of the engine's reads and writes to Redis. Less would be an outage where the machine is only busy.
REDIS_SECONDS = 2.0
# Of a statement, a COMMIT or an open transaction. A mark lives longer: see soak.participants.
LONGEST_SHAPE_SECONDS = {"sqlite": 0.5, "postgresql": 1.8}


@dataclass(frozen=True, kw_only=True)
class FaultKind:
    """A fault of the server, or of the link between one process and the server.

    ``seconds`` are the bounds of its duration; (0, 0) for a fault without a duration. ``severs`` says
    whether a writer may not reach Redis for so long that its rotations are pending when its write is
    acknowledged, and others can read old entries until they are flushed. ``forgets`` says that the
    server comes back with an older state, under which nobody finds an old entry.
    """

    name: str
    of_link: bool = False
    seconds: tuple[float, float] = (0, 0)
    severs: bool = False
    forgets: bool = False
    weight: int = 1


SNAPSHOT = FaultKind(name="snapshot")
FAULTS = (
    FaultKind(name="restart", seconds=(0.0, 0.3), severs=True, forgets=True),
    FaultKind(name="fail over", forgets=True, weight=4),
    FaultKind(name="full", seconds=(0.2, 1.0)),
    FaultKind(name="evict"),
    FaultKind(name="pause", seconds=(0.05, 0.4)),
    FaultKind(name="long pause", seconds=(REDIS_SECONDS + 0.2, REDIS_SECONDS + 1), severs=True),
    FaultKind(name="cut", of_link=True),
    FaultKind(name="lose a reply", of_link=True),
    FaultKind(name="delay replies", of_link=True, seconds=(0.3, 1.5)),
    FaultKind(name="refuse connections", of_link=True, seconds=(0.2, 1.0), severs=True),
)
FAULT_KINDS = {kind.name: kind for kind in (SNAPSHOT, *FAULTS)}


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Kill the writer when it sends its n-th request to Redis since the write began (1 is the guard and 2 the
    rotation of a plain write), and never forward that request; or ``after_seconds`` if ``at_request`` is 0.
    Each reply that comes before is ``late_by_seconds``.
    """

    at_request: int = 0
    after_seconds: float = 0.0
    late_by_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Write:
    """``seconds`` is how long the shape's statement, COMMIT or open transaction takes."""

    writer: int
    target: int
    kind: str
    shape: str
    seconds: float
    kill: Kill | None = None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """``link`` is the number of a process, writers first, for a fault of a link."""

    kind: str
    seconds: float
    link: int | None = None
    chance: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """``after_seconds`` are those since the step before. A write waits until its writer is idle,
    and a fault until the last one is over.
    """

    after_seconds: float
    action: Write | Fault


@dataclass(frozen=True, kw_only=True)
class Round:
    """``slow_fill_seconds`` is how long each query of a reader takes."""

    number: int
    slow_fill_seconds: float
    steps: tuple[Step, ...]
