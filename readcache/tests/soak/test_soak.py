"""Short soaks: with all rules nothing is found, and without one of them the soak finds what it prevents."""

from __future__ import annotations

from itertools import islice

import pytest
from django.db import connection

from soak.actions import LEASE_SECONDS, Fault, Kill, Round, Step, Write
from soak.participants import LONGEST_WRITE_SECONDS
from soak.processes.without import RULES
from soak.run import run_soak
from soak.schedule import make_rounds

pytestmark = pytest.mark.django_db(transaction=True)

# The seed, and the first of the two rounds, that find what each rule prevents. A kind of write, a shape or a
# fault that is added changes the schedule of each seed. Find others with: python -m soak --without RULE
FOUND_BY = {
    "sqlite": {"history": (1322, 9)},
    "postgresql": {"history": (742, 4), "guard": (41, 1), "shortens": (9168, 3), "marks": (53, 3)},
}
ATTEMPTS = 3
# The tokens are immortal by then: the marks of the first fill have passed their deadline.
WARM_SECONDS = {vendor: seconds + LEASE_SECONDS + 0.5 for vendor, seconds in LONGEST_WRITE_SECONDS.items()}


def write(
    writer: int, target: int = 0, *, shape: str = "autocommit", seconds: float = 0.0, kill: Kill | None = None
) -> Write:
    return Write(writer=writer, target=target, kind="update", shape=shape, seconds=seconds, kill=kill)


def history() -> list[tuple[float, Write | Fault]]:
    return [
        (0.0, Fault(kind="snapshot", seconds=0.0)),
        (0.1, write(0)),
        (0.5, Fault(kind="fail over", seconds=0.0)),
    ]


def guard() -> list[tuple[float, Write | Fault]]:
    """The first request of the write is its guard or a look at the registry, the second its rotation."""
    return [(0.0, write(0, kill=Kill(at_request=2)))]


def shortens() -> list[tuple[float, Write | Fault]]:
    rollbacks = [(0.3, write(1, target, shape="raw_rolled_back")) for target in range(6)]
    return [(0.0, write(0, kill=Kill(at_request=2))), *rollbacks]


def marks() -> list[tuple[float, Write | Fault]]:
    if connection.vendor == "postgresql":
        # The token that was guarded is gone when the database commits.
        return [(0.0, write(0, shape="slow_statement", seconds=1.7, kill=Kill(after_seconds=0.3)))]
    # The other writer's rotation makes a token between the guard and the write of the killed one.
    return [(0.0, write(0, kill=Kill(at_request=2, late_by_seconds=0.8))), (0.2, write(1))]


SHORTEST = {"history": history, "guard": guard, "shortens": shortens, "marks": marks}


def test_readers_are_shown_each_acknowledged_write() -> None:
    reports = run_soak(islice(make_rounds(11, 1, vendor=connection.vendor), 2), seconds=120)

    assert [finding for report in reports for finding in report.findings] == []
    assert len(reports) == 2
    assert all(report.judged > 0 and 0 < report.hits < report.answers for report in reports)


@pytest.mark.parametrize("rule", RULES)
def test_a_few_steps_show_what_a_rule_prevents(rule: str) -> None:
    first, *others = SHORTEST[rule]()
    first_step = Step(after_seconds=WARM_SECONDS[connection.vendor], action=first[1])
    steps = [first_step, *(Step(after_seconds=seconds, action=action) for seconds, action in others)]

    reports = run_soak([Round(number=1, slow_fill_seconds=0.0, steps=tuple(steps))], seconds=60, without=rule)

    assert reports[-1].findings


@pytest.mark.parametrize("rule", RULES)
def test_a_random_schedule_shows_what_a_rule_prevents(rule: str) -> None:
    if rule not in FOUND_BY[connection.vendor]:
        pytest.skip(f"No seed is known that shows it within two rounds on {connection.vendor}.")
    seed, first_round = FOUND_BY[connection.vendor][rule]
    rounds = [*islice(make_rounds(seed, first_round, vendor=connection.vendor), 2)]

    # The processes are real: on a busy machine the same steps may overlap in another way.
    reports = run_soak(rounds * ATTEMPTS, seconds=300, without=rule)

    assert reports[-1].findings
