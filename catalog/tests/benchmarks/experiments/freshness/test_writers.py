"""Each kind of write of the soak, and the loop of a writer with a clock and a board made by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.experiments.freshness import writers
from catalog.benchmarks.experiments.freshness.readers import shown_versions
from catalog.benchmarks.experiments.freshness.shelves import (
    PRODUCTS_PER_WRITER,
    ROLLED_BACK,
    Shelf,
    Task,
    pages,
    stocked_shelves,
)
from catalog.benchmarks.experiments.freshness.writers import (
    KINDS,
    ShelfWriter,
    WriteReport,
    _roll_back,
    write,
)
from catalog.benchmarks.strategies.registry import UNCACHED

pytestmark = pytest.mark.django_db(transaction=True)

WRITING_KINDS = [kind for kind in KINDS if kind is not _roll_back]
REGISTERS = 3 * PRODUCTS_PER_WRITER + 2
SECOND_NS = 1_000_000_000

Kind = Callable[[ShelfWriter, int], None]


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with stocked_shelves(1) as [found]:
        yield found


def shown(*shelves: Shelf) -> dict[int, int]:
    """The version of each register in the database."""
    listing = pages(shelves)[0]
    body = Requester().ask(UNCACHED, listing.path).body
    return shown_versions(body["results"], shelves, listing.products)


def test_a_shelf_begins_with_version_0_of_everything(shelf: Shelf) -> None:
    assert shown(shelf) == dict.fromkeys(range(REGISTERS), 0)


@pytest.mark.parametrize("kind", WRITING_KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("place", range(PRODUCTS_PER_WRITER))
def test_every_kind_of_write_shows_the_versions_that_it_acknowledges(
    shelf: Shelf, kind: Kind, place: int
) -> None:
    writer, versions = ShelfWriter(shelf), dict.fromkeys(range(REGISTERS), 0)

    # Four versions, in which tags are both added and removed.
    for number in range(1, 5):
        kind(writer, place)
        acknowledged = writer.acknowledged()
        assert set(acknowledged.values()) == {number}
        versions |= acknowledged
        assert shown(shelf) == versions


def test_all_kinds_together_write_every_register(shelf: Shelf) -> None:
    writer, written = ShelfWriter(shelf), set()

    for kind in WRITING_KINDS:
        for place in range(PRODUCTS_PER_WRITER):
            kind(writer, place)
            written |= set(writer.acknowledged())

    assert written == set(range(REGISTERS))


def test_each_acknowledged_version_is_reported_once(shelf: Shelf) -> None:
    writer = ShelfWriter(shelf)
    writers._save(writer, 0)

    assert writer.acknowledged() == {0: 1}
    assert writer.acknowledged() == {}


@pytest.mark.parametrize("place", range(PRODUCTS_PER_WRITER))
def test_a_rolled_back_write_changes_and_acknowledges_nothing(shelf: Shelf, place: int) -> None:
    writer = ShelfWriter(shelf)

    _roll_back(writer, place)

    assert writer.acknowledged() == {}
    assert shown(shelf) == dict.fromkeys(range(REGISTERS), 0)


@pytest.mark.parametrize("place", range(PRODUCTS_PER_WRITER))
def test_every_fact_of_a_product_is_recognised_as_uncommitted_before_its_rollback(
    shelf: Shelf, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[int, int]] = []

    roll_back = transaction.set_rollback

    def look_and_roll_back(rollback: bool) -> None:
        """Look at the database within the transaction, right before it is rolled back."""
        seen.append(shown(shelf))
        roll_back(rollback)

    monkeypatch.setattr(transaction, "set_rollback", look_and_roll_back)
    _roll_back(ShelfWriter(shelf), place)

    [inside] = seen
    facts = {shelf.register(place, fact) for fact in range(3)}
    # All products of the shelf share the registers of its category and of its tag.
    shared = {shelf.category_register, shelf.name_tag_register}
    assert {register for register, version in inside.items() if version >= ROLLED_BACK} == facts | shared


class Board(list[int]):
    """The numbers that the processes share. The readers read ``reads_per_look`` times between two looks."""

    def __init__(self, *shelves: Shelf, reads_per_look: int = 1_000_000) -> None:
        # There are three readers, of which only the last one reads.
        super().__init__([0] * (len(shelves) * REGISTERS + 3))
        self.shelves, self.reads_per_look = shelves, reads_per_look

    def __iter__(self) -> Iterator[int]:
        super().__setitem__(-1, self[-1] + self.reads_per_look)
        return super().__iter__()

    def __setitem__(self, register: Any, version: Any) -> None:
        assert not connection.in_atomic_block
        assert shown(*self.shelves)[register] == version
        super().__setitem__(register, version)


class Clock:
    """A clock that advances by a second with each write, and not while a writer waits."""

    def __init__(self) -> None:
        self.seconds, self.naps = 0.0, 0

    def monotonic(self) -> float:
        return self.seconds

    def monotonic_ns(self) -> int:
        self.seconds += 1
        return int(self.seconds) * SECOND_NS

    def sleep(self, seconds: float) -> None:
        self.naps += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(writers, "time", found)
    return found


def task(shelf: Shelf, *, seconds: float = 30, number: int = 0, seed: int = 0, readers: int = 3) -> Task:
    return Task(
        number=number,
        strategy="uncached",
        seed=seed,
        seconds=seconds,
        port=0,
        readers=readers,
        shelves=[shelf],
    )


def report_of(given: Task, board: Board) -> WriteReport:
    return write(board, given)  # type: ignore[arg-type]


@pytest.mark.usefixtures("clock")
def test_a_writer_acknowledges_on_the_board_what_the_database_has_committed(shelf: Shelf) -> None:
    board = Board(shelf)

    report = report_of(task(shelf), board)

    # One write in each second. Each that is not rolled back acknowledges at least one version.
    assert report.writes + report.rollbacks == 30
    assert len(set(report.acknowledged.values())) == report.writes > report.rollbacks > 0
    # The versions of each register are acknowledged once and in order, and the board holds the last one.
    for register in range(REGISTERS):
        versions = [version for each, version in report.acknowledged if each == register]
        assert versions == list(range(1, len(versions) + 1))
        assert board[register] == len(versions)
    assert shown(shelf) == dict(enumerate(board[:REGISTERS]))


@pytest.mark.usefixtures("clock")
def test_a_write_is_acknowledged_when_it_has_returned(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "KINDS", [writers._update])

    report = report_of(task(shelf, seconds=3), Board(shelf))

    assert list(report.acknowledged.values()) == [SECOND_NS, 2 * SECOND_NS, 3 * SECOND_NS]


@pytest.mark.usefixtures("clock")
def test_only_rolled_back_transactions_count_as_rollbacks(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "KINDS", [_roll_back])
    only_undone = report_of(task(shelf, seconds=3), Board(shelf))
    monkeypatch.setattr(writers, "KINDS", [writers._roll_back_savepoint_last])
    half_undone = report_of(task(shelf, seconds=3), Board(shelf))

    assert (only_undone.writes, only_undone.rollbacks) == (0, 3)
    assert (half_undone.writes, half_undone.rollbacks) == (3, 0)


@pytest.mark.usefixtures("clock")
def test_a_writer_stops_at_its_last_write(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "MAX_WRITES", 4)

    assert report_of(task(shelf), Board(shelf)).writes == 4


@pytest.mark.usefixtures("clock")
def test_the_seed_and_the_writers_number_determine_kinds_and_products() -> None:
    drawn = []
    for seed, number in ((0, 0), (0, 0), (1, 0), (0, 1)):
        with stocked_shelves(2) as shelves:
            given = replace(task(shelves[number], seconds=8, seed=seed, number=number), shelves=shelves)
            report = report_of(given, Board(*shelves))
        first = shelves[number].first
        drawn.append([(register - first, version) for register, version in report.acknowledged])

    assert drawn[0] == drawn[1]
    assert drawn[2] != drawn[0] != drawn[3]
    # A writer writes only to its own shelf.
    assert all(0 <= register < REGISTERS for each in drawn for register, _ in each)


# The wait between two writes


def pause(board: Board, given: Task, *, limits: list[int], deadline: float = 1.0) -> bool:
    """Whether there is time for another write after seven reads. Appends the limit of the draw."""

    def draw(limit: int) -> int:
        limits.append(limit)
        return 7

    chance: Any = SimpleNamespace(randrange=draw)
    return writers._wait_for_reads(given, board, chance, deadline)  # type: ignore[arg-type]


def test_a_writer_waits_for_a_drawn_number_of_reads(shelf: Shelf, clock: Clock) -> None:
    board, limits = Board(shelf, reads_per_look=1), list[int]()

    assert pause(board, task(shelf), limits=limits)

    # The first look has counted one read.
    assert board[-1] == 8
    assert clock.naps == 6
    # At most eight reads for each of three pages.
    assert limits == [24]


def test_the_more_writers_there_are_the_longer_each_of_them_waits(shelf: Shelf, clock: Clock) -> None:
    limits = list[int]()

    pause(Board(shelf), replace(task(shelf), shelves=[shelf, shelf]), limits=limits)

    assert limits == [2 * 8 * 5]


def test_only_the_readers_of_the_task_are_counted(shelf: Shelf, clock: Clock) -> None:
    board = Board(shelf, reads_per_look=1)
    # One read of the first reader, and a version in the register before it, which must not count.
    list.__setitem__(board, -3, 1)
    list.__setitem__(board, -4, 1)

    assert [writers._count_reads(task(shelf, readers=number), board) for number in (1, 2, 3)] == [1, 2, 4]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "reads_per_look", "goes_on"),
    [(0.9, 7, True), (1.0, 7, False), (1.1, 7, False), (0.9, 0, False)],
)
def test_a_writer_ends_at_its_deadline_even_without_readers(
    shelf: Shelf, now: float, reads_per_look: int, goes_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([*[now] * 3, *[2.0] * 3])
    clock = SimpleNamespace(monotonic=lambda: next(moments), sleep=lambda _: None)
    monkeypatch.setattr(writers, "time", clock)

    assert pause(Board(shelf, reads_per_look=reads_per_look), task(shelf), limits=[]) is goes_on
