"""A reader's loop: note what is acknowledged, ask, and compare with the versions that the answer shows."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from catalog.benchmarks.clients.http import Visitor
from catalog.benchmarks.clients.in_process import BenchmarkError
from catalog.benchmarks.experiments.freshness.shelves import (
    POISON,
    PRICE,
    STOCK,
    TAGS,
    Shelf,
    Task,
    pages,
    ungray,
)
from catalog.benchmarks.strategies.registry import find_strategy

LIST_SHARE = 0.3


def read(task: Task, board: memoryview[int]) -> dict[str, Any]:
    """Raises ``BenchmarkError`` where the server answers with an error."""
    with contextlib.closing(Visitor(task.port)) as visitor:
        return _read_until_the_end(visitor, task, board)


def _read_until_the_end(visitor: Visitor, task: Task, board: memoryview[int]) -> dict[str, Any]:
    chance = random.Random(f"{task.seed} reader {task.number}")
    strategy = find_strategy(task.strategy)
    listing, *details = (strategy.url(page) for page in pages(task.shelves))
    places = dict(zip(details, _places(task.shelves).values(), strict=True))
    own_place = len(board) - task.readers + task.number
    seen = {"reads": 0, "hits": 0, "stale_reads": 0, "uncommitted_reads": 0}
    stale: dict[tuple[int, int], int] = {}
    deadline = time.monotonic() + task.seconds
    while time.monotonic() < deadline:
        url = listing if chance.random() < LIST_SHARE else chance.choice(details)
        floors = list(board)
        asked_ns = time.monotonic_ns()
        answer = visitor.get(url)
        if answer.status == 200:
            shown = shown_versions(json.loads(answer.body), task.shelves)
        elif answer.status == 404 and url in places:
            # No writer deletes a product.
            shown = _missing(*places[url])
        else:
            raise BenchmarkError(f"{url} answered {answer.status}, not 200.")
        behind = {(register, version) for register, version in shown.items() if version < floors[register]}
        stale |= dict.fromkeys(behind, asked_ns)
        seen["reads"] += 1
        seen["hits"] += answer.queries == 0
        seen["stale_reads"] += bool(behind)
        seen["uncommitted_reads"] += any(version >= POISON for version in shown.values())
        board[own_place] = seen["reads"]
    return {**seen, "stale": [[*key, ns] for key, ns in stale.items()]}


def shown_versions(body: Any, shelves: Sequence[Shelf]) -> dict[int, int]:
    """The version of each register that the answer shows. A product that is missing has version -1."""
    shown: dict[int, int] = {}
    if "results" in body:
        for shelf in shelves:
            for place in range(len(shelf.products)):
                shown |= _missing(shelf, place)
    places = _places(shelves)
    for row in body.get("results", [body]):
        shelf, place = places[row["id"]]
        shown |= _shown_by_product(row, shelf, place)
    return shown


def _missing(shelf: Shelf, place: int) -> dict[int, int]:
    return {shelf.register(place, fact): -1 for fact in (PRICE, STOCK, TAGS)}


def _places(shelves: Sequence[Shelf]) -> dict[int, tuple[Shelf, int]]:
    return {key: (shelf, place) for shelf in shelves for place, key in enumerate(shelf.products)}


def _shown_by_product(row: Any, shelf: Shelf, place: int) -> dict[int, int]:
    parsed = [name.rsplit("_", 2)[1:] for name in row["tags"]]
    numbers = {kind: int(number) for kind, number in parsed if kind != "bit"}
    bits = [int(number) for kind, number in parsed if kind == "bit"]
    return {
        shelf.register(place, PRICE): int(Decimal(row["price"])),
        shelf.register(place, STOCK): row["stock"] - 1,
        shelf.register(place, TAGS): POISON if POISON in bits else ungray(sum(1 << bit for bit in bits)),
        shelf.category_register: int(row["category"].rpartition("_")[2]),
        shelf.label_register: numbers.get(f"label{shelf.number}", -1),
    }
