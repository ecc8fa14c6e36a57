"""The schedules of soaks."""

from __future__ import annotations

import pytest

from instruments.writes import KINDS
from soak.actions import FAULT_KINDS, Fault, Write
from soak.processes.shapes import SHAPES
from soak.schedule import make_round

ROUNDS = range(1, 400)


def test_a_seed_repeats_its_schedule_and_another_one_does_not() -> None:
    rounds = [[make_round(seed, number, vendor="sqlite") for number in range(1, 5)] for seed in (1, 1, 2)]

    assert rounds[0] == rounds[1] != rounds[2]


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_each_kind_shape_kill_and_fault_occurs(vendor: str) -> None:
    actions = [step.action for number in ROUNDS for step in make_round(0, number, vendor=vendor).steps]
    writes = [action for action in actions if isinstance(action, Write)]

    assert {write.kind for write in writes} == {str(kind) for kind in KINDS}
    assert {write.shape for write in writes} == {name for name in SHAPES if vendor in SHAPES[name].vendors}
    assert {write.kill.at_request for write in writes if write.kill} == {0, 1, 2, 3}
    assert {action.kind for action in actions if isinstance(action, Fault)} == {*FAULT_KINDS}


def test_no_writer_is_killed_where_its_rotations_may_be_pending_and_nobody_notices() -> None:
    for number in ROUNDS:
        actions = [step.action for step in make_round(0, number, vendor="postgresql").steps]
        kinds = [FAULT_KINDS[action.kind] for action in actions if isinstance(action, Fault)]
        if any(kind.severs and not kind.forgets for kind in kinds):
            assert all(action.kill is None for action in actions if isinstance(action, Write))


def test_a_write_that_is_repeated_changes_nothing() -> None:
    for number in ROUNDS:
        actions = [step.action for step in make_round(0, number, vendor="postgresql").steps]
        writes = [action for action in actions if isinstance(action, Write)]
        repeated = [write for write in writes if sum(_is_of_the_same(write, other) for other in writes) > 1]

        assert not any(SHAPES[write.shape].commits for write in repeated)


def _is_of_the_same(write: Write, other: Write) -> bool:
    return (write.writer, write.target) == (other.writer, other.target)
