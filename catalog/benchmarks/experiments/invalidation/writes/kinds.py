"""What a kind of write is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from django.db import transaction

from catalog.benchmarks.experiments.invalidation.writes.targets import Target

Page: TypeAlias = Literal["list", "detail", "statistics", "category"]
Write: TypeAlias = Callable[[Target], object]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """``changes`` are the pages that show something else after it, and no others do.

    ``is_elsewhere`` where another process writes: it cannot take part in a transaction of this one.
    """

    name: str
    changes: frozenset[Page]
    write: Write
    is_elsewhere: bool = False

    def write_in_a_transaction(self, target: Target, before_commit: Callable[[], None]) -> None:
        if self.is_elsewhere and target.process:
            target.process.rename(target.product.pk, target.new_name, before_commit=before_commit)
            return
        with transaction.atomic():
            self.write(target)
            before_commit()


# In the order in which Python comes by them.
REGISTERED: list[Kind] = []


def kind(*changes: Page, is_elsewhere: bool = False) -> Callable[[Write], Write]:
    """Put the function into the list of all kinds, under its own name."""

    def register(write: Write) -> Write:
        name = write.__name__
        REGISTERED.append(Kind(name=name, changes=frozenset(changes), write=write, is_elsewhere=is_elsewhere))
        return write

    return register
