"""A writer that stops between its COMMIT and its rotation, to be killed there.

The argument says how it writes: ``alone``, or ``transaction``, in which it waits for a line before
its COMMIT.
"""

from __future__ import annotations

import sys

import django

django.setup()

from django.db import transaction

from library.models import Book
from readcache.invalidation import rotations


def tell(step: str) -> None:
    print(step, flush=True)


def stop(tags: frozenset[str]) -> None:
    tell("committed")
    sys.stdin.readline()


def write() -> None:
    Book.objects.update(title="New")


def write_in_a_transaction() -> None:
    with transaction.atomic():
        write()
        tell("written")
        sys.stdin.readline()


if __name__ == "__main__":
    rotations.rotate_tokens = stop
    {"alone": write, "transaction": write_in_a_transaction}[sys.argv[1]]()
