"""A second process of the shop, which saves products when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from django.db import transaction

from catalog.benchmarks.processes.children import Child, running_child
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy, find_strategy, only_invalidation_of
from catalog.models import Product


class Renamer:
    """The service of the process. Only the invalidation of the named strategy is connected in a write."""

    def __init__(self, transactions: ExitStack) -> None:
        self._transactions = transactions

    def rename(self, strategy: str, key: int, name: str) -> None:
        with only_invalidation_of(find_strategy(strategy)):
            _rename(key, name)

    def rename_uncommitted(self, strategy: str, key: int, name: str) -> None:
        """In a transaction that stays open until ``commit()``."""
        self._transactions.enter_context(only_invalidation_of(find_strategy(strategy)))
        self._transactions.enter_context(transaction.atomic())
        _rename(key, name)

    def commit(self) -> None:
        self._transactions.close()


@contextmanager
def renaming() -> Iterator[Renamer]:
    with ExitStack() as transactions:
        yield Renamer(transactions)


class SecondProcess:
    """Its writes have the invalidation of ``strategy``, which the caller sets."""

    def __init__(self, child: Child[Renamer]) -> None:
        self._child = child
        self.strategy: Strategy = UNCACHED

    def rename(self, key: int, name: str, *, before_commit: Callable[[], None] | None = None) -> None:
        """Returns when the write was acknowledged. With ``before_commit``, the write is in a transaction."""
        if before_commit is None:
            self._child.ask(Renamer.rename, self.strategy.name, key, name)
            return
        self._child.ask(Renamer.rename_uncommitted, self.strategy.name, key, name)
        before_commit()
        self._child.ask(Renamer.commit)


@contextmanager
def second_process() -> Iterator[SecondProcess]:
    """Raises ``BenchmarkError`` if no other process can use the database, because it is in memory."""
    with running_child(renaming) as child:
        child.wait_until_ready()
        yield SecondProcess(child)


def _rename(key: int, name: str) -> None:
    product = Product.objects.get(pk=key)
    product.name = name
    product.save()
