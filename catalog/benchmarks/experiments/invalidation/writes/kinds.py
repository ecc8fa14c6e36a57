"""What a kind of write is, and the list of all kinds."""

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
    """``changes`` are all pages that show something else after the write.

    ``is_elsewhere`` means that another process writes, which takes no part in transactions of this one.
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


# In the order in which the modules are imported.
REGISTERED: list[Kind] = []


def kind(*changes: Page, is_elsewhere: bool = False) -> Callable[[Write], Write]:
    """Add the function to the list of all kinds, under its own name."""

    def register(write: Write) -> Write:
        name = write.__name__
        REGISTERED.append(Kind(name=name, changes=frozenset(changes), write=write, is_elsewhere=is_elsewhere))
        return write

    return register
