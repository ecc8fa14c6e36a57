"""A second process of the shop, which saves products on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from django.db import transaction

from catalog.benchmarks.processes.children import Child, running_child
from catalog.benchmarks.strategies.registry import UNCACHED, Strategy, find_strategy, only_invalidation_of
from catalog.models import Product


class SecondProcess:
    """Its writes have the invalidation of ``strategy``, which the caller sets."""

    def __init__(self, child: Child[ExitStack]) -> None:
        self._child = child
        self.strategy: Strategy = UNCACHED

    def rename(self, key: int, name: str, *, before_commit: Callable[[], None] | None = None) -> None:
        """Returns when the write was acknowledged. With ``before_commit``, the write is in a transaction."""
        is_atomic = before_commit is not None
        self._child.ask(_rename, self.strategy.name, key, name, is_atomic=is_atomic)
        if before_commit:
            before_commit()
            self._child.ask(ExitStack.close)


@contextmanager
def second_process() -> Iterator[SecondProcess]:
    """Raises ``BenchmarkError`` for a database in memory, which no other process can use."""
    with running_child(_open_context) as child:
        child.wait_until_ready()
        yield SecondProcess(child)


@contextmanager
def _open_context() -> Iterator[ExitStack]:
    """The context of an open transaction, which the process keeps from one order to the next."""
    with ExitStack() as context:
        yield context


def _rename(context: ExitStack, strategy: str, key: int, name: str, *, is_atomic: bool) -> None:
    context.enter_context(only_invalidation_of(find_strategy(strategy)))
    if is_atomic:
        context.enter_context(transaction.atomic())
    product = Product.objects.get(pk=key)
    product.name = name
    product.save()
    if not is_atomic:
        context.close()
