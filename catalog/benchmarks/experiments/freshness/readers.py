"""A reader: note the acknowledged versions, send a request, and compare them with the response."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from catalog.benchmarks.clients.http import HTTPClient, Response
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.freshness.shelves import (
    PRICE,
    ROLLED_BACK,
    STOCK,
    TAGS,
    FactVersion,
    Page,
    Shelf,
    Task,
    pages,
    ungray,
)
from catalog.benchmarks.strategies.registry import Strategy, find_strategy

LIST_SHARE = 0.3
# The version of a fact that a response lacks although it should show it. It is older than any other.
MISSING = -1


@dataclass(frozen=True, kw_only=True)
class ReadReport:
    """``stale`` maps each outdated version that a response showed to the time of the last such request.

    Times are nanoseconds of ``time.monotonic_ns()``, which all processes share.
    """

    reads: int
    hits: int
    stale_reads: int
    uncommitted_reads: int
    stale: Mapping[FactVersion, int]


def read(board: memoryview[int], task: Task) -> ReadReport:
    """Read for the seconds of the task. Raises ``BenchmarkError`` if the server responds with an error."""
    chance = random.Random(f"{task.seed} reader {task.number}")
    strategy = find_strategy(task.strategy)
    listing, *details = pages(task.shelves)
    own_place = len(board) - task.readers + task.number
    reads = hits = stale_reads = uncommitted_reads = 0
    stale: dict[FactVersion, int] = {}
    deadline = time.monotonic() + task.seconds
    with contextlib.closing(HTTPClient(task.port)) as client:
        while time.monotonic() < deadline:
            page = listing if chance.random() < LIST_SHARE else chance.choice(details)
            floors = list(board)
            asked_ns = time.monotonic_ns()
            response = client.get(strategy.url(page.path))
            shown = shown_versions(_rows(response, page, strategy), task.shelves, page.products)
            behind = {(fact, version) for fact, version in shown.items() if version < floors[fact]}
            stale |= dict.fromkeys(behind, asked_ns)
            reads += 1
            hits += response.queries == 0
            stale_reads += bool(behind)
            uncommitted_reads += any(version >= ROLLED_BACK for version in shown.values())
            board[own_place] = reads
    return ReadReport(
        reads=reads, hits=hits, stale_reads=stale_reads, uncommitted_reads=uncommitted_reads, stale=stale
    )


def _rows(response: Response, page: Page, strategy: Strategy) -> list[Any]:
    """The products in the response. No writer deletes a product, so one that is not found is missing."""
    if response.status == 404 and len(page.products) == 1:
        return []
    if response.status != 200:
        raise BenchmarkError(f"{strategy.url(page.path)} answered {response.status}, not 200.")
    body = json.loads(response.content)
    return list(body.get("results", [body]))


def shown_versions(
    rows: Sequence[Any], shelves: Sequence[Shelf], expected: Collection[int]
) -> dict[int, int]:
    """The version of each register that the rows show.

    ``expected`` are the primary keys of the products that must be there. A product that is not has the
    version ``MISSING`` of each fact. Other products are ignored.
    """
    places = {
        key: (shelf, place)
        for shelf in shelves
        for place, key in enumerate(shelf.products)
        if key in expected
    }
    shown = {
        shelf.register(place, fact): MISSING
        for shelf, place in places.values()
        for fact in (PRICE, STOCK, TAGS)
    }
    for row in rows:
        if row["id"] in places:
            shown |= _shown_by_product(row, *places[row["id"]])
    return shown


def _shown_by_product(row: Any, shelf: Shelf, place: int) -> dict[int, int]:
    parsed = [name.rsplit("_", 2)[1:] for name in row["tags"]]
    numbers = {kind: int(number) for kind, number in parsed if kind != "bit"}
    bits = [int(number) for kind, number in parsed if kind == "bit"]
    tags = ROLLED_BACK if ROLLED_BACK in bits else ungray(sum(1 << bit for bit in bits))
    return {
        shelf.register(place, PRICE): int(Decimal(row["price"])),
        shelf.register(place, STOCK): row["stock"] - 1,
        shelf.register(place, TAGS): tags,
        shelf.category_register: int(row["category"].rpartition("_")[2]),
        shelf.name_tag_register: numbers.get(f"label{shelf.number}", MISSING),
    }
