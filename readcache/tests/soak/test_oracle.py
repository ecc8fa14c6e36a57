"""What the oracle of a soak finds: each kind of wrong answer once, and no right one."""

from __future__ import annotations

import json
import math

import pytest

from soak.actions import LEASE_SECONDS
from soak.oracle import FLUSHED_AFTER_SECONDS, SLACK_SECONDS, Answer, Oracle
from soak.targets import Facts, Target

TARGET = Target(label="-1", slug="old-author-1", book=7)
URL = TARGET.book_url
OLD, NEW = ({url: json.dumps({"title": title}) for url in TARGET.urls} for title in ("Old", "New"))


@pytest.fixture
def oracle() -> Oracle:
    oracle = Oracle()
    oracle.add(TARGET, OLD)
    return oracle


def answer(facts: Facts, *, began: float, ended: float = math.inf, code: int = 200) -> Answer:
    return Answer(
        reader="reader",
        url=URL,
        began=began,
        ended=began + 0.1 if ended == math.inf else ended,
        code=code,
        cache_status="hit",
        body=facts[URL],
    )


def findings(oracle: Oracle, *answers: Answer) -> int:
    """How many more findings there are after these answers."""
    before = len(oracle.findings)
    for each in answers:
        oracle.judge(each)
    return len(oracle.findings) - before


def test_a_target_that_is_not_written_stays_as_it_is(oracle: Oracle) -> None:
    assert findings(oracle, answer(OLD, began=1)) == 0
    assert findings(oracle, answer(NEW, began=1)) == 1


def test_a_write_is_not_shown_before_it_begins(oracle: Oracle) -> None:
    oracle.begin(TARGET, at=5)

    assert findings(oracle, answer(NEW, began=4, ended=4.5)) == 1


def test_an_acknowledged_write_is_shown_by_each_request_that_begins_later(oracle: Oracle) -> None:
    oracle.begin(TARGET, at=1)
    oracle.settle(TARGET, at=2, after=NEW)

    assert findings(oracle, answer(NEW, began=2), answer(NEW, began=9)) == 0
    assert findings(oracle, answer(OLD, began=2)) == 1
    assert findings(oracle, answer(OLD, began=9)) == 1
    assert oracle.judged == 4


def test_a_request_that_overlaps_a_write_may_show_either(oracle: Oracle) -> None:
    oracle.begin(TARGET, at=1)
    assert findings(oracle, answer(OLD, began=1.5), answer(NEW, began=1.5)) == 0
    oracle.settle(TARGET, at=2, after=NEW)

    assert findings(oracle, answer(OLD, began=1.9, ended=2.5)) == 0
    assert oracle.findings == []


def test_an_answer_waits_for_the_outcome_of_a_write(oracle: Oracle) -> None:
    oracle.begin(TARGET, at=1)
    assert findings(oracle, answer(OLD, began=2.1)) == 0

    oracle.settle(TARGET, at=2, after=NEW)

    assert len(oracle.findings) == 1


def test_a_write_that_was_rolled_back_is_never_shown(oracle: Oracle) -> None:
    oracle.begin(TARGET, at=1)
    oracle.judge(answer(NEW, began=1.5))
    oracle.settle(TARGET, at=2, after=OLD)

    assert len(oracle.findings) == 1
    assert findings(oracle, answer(NEW, began=3)) == 1
    assert findings(oracle, answer(OLD, began=3)) == 0


def test_the_write_of_a_killed_writer_is_due_one_lease_after_the_database_shows_it(oracle: Oracle) -> None:
    oracle.begin(TARGET, at=1)
    oracle.observe(TARGET, at=2, facts=OLD)
    oracle.observe(TARGET, at=3, facts=NEW)
    oracle.observe(TARGET, at=4, facts=NEW)
    oracle.give_up(TARGET)
    due = 3 + LEASE_SECONDS + SLACK_SECONDS

    assert oracle.quiet_at() == due
    assert findings(oracle, answer(OLD, began=due - 0.01), answer(NEW, began=due - 0.01)) == 0
    assert findings(oracle, answer(OLD, began=due)) == 1


def test_the_write_of_a_killed_writer_that_did_not_happen_is_never_shown(oracle: Oracle) -> None:
    oracle.begin(TARGET, at=1)
    oracle.observe(TARGET, at=2, facts=OLD)
    oracle.give_up(TARGET)

    assert findings(oracle, answer(NEW, began=5)) == 1
    assert findings(oracle, answer(OLD, began=5)) == 0


def test_a_writer_without_redis_is_due_when_it_has_sent_its_pending_rotations(oracle: Oracle) -> None:
    cut_off = oracle.begin_cut_off(at=1)
    oracle.begin(TARGET, at=2)
    oracle.settle(TARGET, at=3, after=NEW)
    assert findings(oracle, answer(OLD, began=99)) == 0

    cut_off.ended = 4
    due = 4 + FLUSHED_AFTER_SECONDS

    assert findings(oracle, answer(OLD, began=due - 0.01)) == 0
    assert findings(oracle, answer(OLD, began=due)) == 1


def test_a_cut_off_that_began_after_a_write_does_not_excuse_it(oracle: Oracle) -> None:
    oracle.begin(TARGET, at=1)
    oracle.settle(TARGET, at=2, after=NEW)
    oracle.begin_cut_off(at=3).ended = 4

    assert findings(oracle, answer(OLD, began=3.5)) == 1


def test_a_server_error_is_a_finding(oracle: Oracle) -> None:
    assert findings(oracle, answer(OLD, began=1, code=500)) == 1
