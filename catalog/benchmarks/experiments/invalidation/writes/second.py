"""A second process of the shop, which saves products when it is told to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from django.db import transaction

from catalog.benchmarks.processes.children import Process, running_process
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy, find_strategy, only_invalidation_of
from catalog.models import Product

WORK = f"import django; django.setup(); from {__name__} import work; work()"


class SecondProcess:
    """Only the invalidation of ``strategy`` is connected in it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.strategy: Strategy = UNCACHED

    def rename(self, key: int, name: str, *, before_commit: Callable[[], None] | None = None) -> None:
        """Returns when the write was acknowledged. In a transaction if something comes before COMMIT."""
        in_a_transaction = before_commit is not None
        self._process.send(json.dumps([self.strategy.name, key, name, in_a_transaction]))
        if before_commit:
            self._process.wait_until_ready()
            before_commit()
            self._process.send("commit")
        self._process.wait_until_ready()


@contextmanager
def second_process() -> Iterator[SecondProcess]:
    """Raises ``BenchmarkError`` where no other process can reach the database."""
    with TemporaryDirectory() as folder, running_process(["-c", WORK], Path(folder) / "log") as process:
        process.wait_until_ready()
        yield SecondProcess(process)


def work() -> None:
    """What the process runs: a line for each write, until there are no more."""
    _say_ready()
    for line in sys.stdin:
        strategy, key, name, in_a_transaction = json.loads(line)
        with only_invalidation_of(find_strategy(strategy)):
            if in_a_transaction:
                with transaction.atomic():
                    _rename(key, name)
                    _say_ready()
                    sys.stdin.readline()
            else:
                _rename(key, name)
        _say_ready()


def _rename(key: int, name: str) -> None:
    product = Product.objects.get(pk=key)
    product.name = name
    product.save()


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
