"""A reader reads planted answers from a small server, and counts each fault exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.freshness import readers
from catalog.benchmarks.experiments.freshness.readers import MISSING, ReadReport, read
from catalog.benchmarks.experiments.freshness.shelves import ROLLED_BACK, Shelf, Task, gray
from catalog.tests.benchmarks.small_server import Reply, send, serving

READS = 40
READERS = 3
SECOND_NS = 1_000_000_000
# The version of every register that the writers have acknowledged.
ACKNOWLEDGED = 5
SHELF = Shelf(
    label="soak-1",
    number=0,
    first=0,
    products=[7, 8],
    category=1,
    name_tag=1,
    bit_tags=list(range(1, 17)),
    rolled_back_tag=99,
)
PRICE, STOCK, TAGS, CATEGORY, LABEL = 0, 1, 2, 6, 7
FACTS = {"price": PRICE, "stock": STOCK, "tags": TAGS, "category": CATEGORY, "label": LABEL}

Plant = Callable[[int], dict[str, int]]


def row(key: int, versions: dict[str, int]) -> dict[str, Any]:
    """A product in the form of the API. Its facts are current except those in ``versions``."""
    shown = dict.fromkeys(FACTS, ACKNOWLEDGED) | versions
    tags = shown["tags"]
    bits = [ROLLED_BACK] if tags == ROLLED_BACK else [bit for bit in range(16) if gray(tags) >> bit & 1]
    return {
        "id": key,
        "price": f"{shown['price']}.00",
        "stock": shown["stock"] + 1,
        "category": f"soak-1_category0_{shown['category']}",
        "tags": [f"soak-1_label0_{shown['label']}", *(f"soak-1_bit_{bit}" for bit in bits)],
    }


class Server:
    """Its n-th answer shows the versions in ``versions_of(n)`` and reports ``queries_of(n)`` queries."""

    def __init__(
        self,
        versions_of: Plant = lambda _: {},
        queries_of: Callable[[int], int] = lambda _: 1,
        on_request: Callable[[], None] = lambda: None,
        keys: Sequence[int] = (7, 8),
    ) -> None:
        self.paths: list[str] = []
        self._versions_of, self._queries_of, self._on_request = versions_of, queries_of, on_request
        self._keys = keys

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        number = len(self.paths)
        self.paths.append(handler.path)
        self._on_request()
        rows = {f"/uncached/products/{key}/": row(key, self._versions_of(number)) for key in self._keys}
        if "?" in handler.path:
            body: Any = {"results": list(rows.values())}
        else:
            body = rows.get(handler.path)
        queries = self._queries_of(number)
        send(handler, 200 if body else 404, queries=queries, body=json.dumps(body).encode())


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that advances by a second with each look. The reader looks once before each request."""
    seconds, requests = count(), count(1)
    found = SimpleNamespace(
        monotonic=lambda: float(next(seconds)), monotonic_ns=lambda: next(requests) * SECOND_NS
    )
    monkeypatch.setattr(readers, "time", found)
    return found


@pytest.fixture
def board() -> memoryview[int]:
    numbers = memoryview(bytearray(8 * (8 + READERS))).cast("q")
    for register in range(8):
        numbers[register] = ACKNOWLEDGED
    return numbers


@contextmanager
def task_at(server: Reply, *, seed: int = 0, number: int = 1) -> Iterator[Task]:
    with serving(server) as port:
        yield Task(
            number=number,
            strategy="uncached",
            seed=seed,
            seconds=READS + 1,
            port=port,
            readers=READERS,
            shelves=[SHELF],
        )


def counted(server: Reply, board: memoryview[int], **options: Any) -> ReadReport:
    with task_at(server, **options) as task:
        return read(board, task)


def test_current_answers_are_counted_as_reads_and_nothing_else(board: memoryview[int]) -> None:
    assert counted(Server(), board) == ReadReport(
        reads=READS, hits=0, stale_reads=0, uncommitted_reads=0, stale={}
    )


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("behind", [1, 2])
def test_an_answer_one_version_behind_in_one_fact_is_one_stale_read(
    board: memoryview[int], fact: str, behind: int
) -> None:
    planted = {fact: ACKNOWLEDGED - behind}

    found = counted(Server(lambda number: planted if number == 3 else {}), board)

    assert (found.reads, found.stale_reads, found.uncommitted_reads) == (READS, 1, 0)
    assert {version for _, version in found.stale} == {ACKNOWLEDGED - behind}
    # Asked at the fourth second.
    assert set(found.stale.values()) == {4 * SECOND_NS}


def test_every_stale_answer_counts_once_however_many_facts_are_behind(board: memoryview[int]) -> None:
    planted = dict.fromkeys(FACTS, ACKNOWLEDGED - 1)

    found = counted(Server(lambda number: planted if number % 4 == 0 else {}), board)

    assert found.stale_reads == READS / 4


def test_the_last_request_with_an_old_version_determines_its_age(board: memoryview[int]) -> None:
    found = counted(Server(lambda number: {"category": 3} if number in (2, 9) else {}), board)

    assert found.stale_reads == 2
    assert found.stale == {(CATEGORY, 3): 10 * SECOND_NS}


@pytest.mark.parametrize("fact", FACTS)
def test_an_answer_that_shows_a_value_that_was_rolled_back_is_one_uncommitted_read(
    board: memoryview[int], fact: str
) -> None:
    found = counted(Server(lambda number: {fact: ROLLED_BACK} if number == 5 else {}), board)

    assert (found.stale_reads, found.uncommitted_reads) == (0, 1)


def test_a_version_ahead_of_the_acknowledged_one_is_not_a_fault(board: memoryview[int]) -> None:
    """A write may be visible before it is acknowledged."""
    found = counted(Server(lambda _: dict.fromkeys(FACTS, ACKNOWLEDGED + 1)), board)

    assert (found.stale_reads, found.uncommitted_reads) == (0, 0)


def test_a_write_acknowledged_after_the_request_began_may_be_missing(board: memoryview[int]) -> None:
    def acknowledge() -> None:
        board[PRICE] = ACKNOWLEDGED + 1

    found = counted(
        Server(on_request=acknowledge, versions_of=lambda n: {"price": 5 if n == 0 else 6}), board
    )

    assert found.stale_reads == 0


def test_an_answer_without_a_query_is_a_hit(board: memoryview[int]) -> None:
    found = counted(Server(queries_of=lambda number: 0 if number < 7 else 2), board)

    assert found.hits == 7


def test_an_answer_without_a_query_count_is_not_a_hit(board: memoryview[int]) -> None:
    assert counted(Server(queries_of=lambda _: -1), board).hits == 0


def test_each_reader_counts_its_reads_in_its_own_place_on_the_board(board: memoryview[int]) -> None:
    counted(Server(), board, number=1)

    assert list(board) == [*[ACKNOWLEDGED] * 8, 0, READS, 0]


def test_a_reader_asks_for_the_list_and_for_each_product_in_a_drawn_order(board: memoryview[int]) -> None:
    orders = []
    for seed, number in ((0, 0), (0, 0), (0, 1), (1, 0)):
        server = Server()
        counted(server, board, seed=seed, number=number)
        orders.append(server.paths)

    lists = [path for path in orders[0] if "?" in path]
    assert set(orders[0]) == {lists[0], "/uncached/products/7/", "/uncached/products/8/"}
    assert lists[0].startswith("/uncached/products/?search=1&")
    # Three of ten requests are for the list.
    assert len(lists) == pytest.approx(0.3 * READS, abs=6)
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3


def test_an_answer_without_a_product_is_stale_in_all_facts_of_the_product(board: memoryview[int]) -> None:
    server = Server(keys=[7])

    found = counted(server, board)

    # Stale are the list, which lacks the product, and the page of the product, which is a 404.
    assert found.stale_reads == READS - server.paths.count("/uncached/products/7/")
    assert 0 < server.paths.count("/uncached/products/8/") < found.stale_reads
    assert set(found.stale) == {(3, MISSING), (4, MISSING), (5, MISSING)}


def test_an_error_of_the_server_ends_the_reader(board: memoryview[int]) -> None:
    def fail(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 500)

    with pytest.raises(BenchmarkError, match=r"/uncached/products/.* answered 500, not 200\."):
        counted(fail, board)


def test_a_missing_list_ends_the_reader_with_an_error(board: memoryview[int]) -> None:
    def lose(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 404)

    with pytest.raises(BenchmarkError, match=r"/uncached/products/\?.* answered 404, not 200\."):
        counted(lose, board)
