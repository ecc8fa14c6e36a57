"""One write of another process."""

from __future__ import annotations

from django.db import transaction

from library.models import Book


def write_alone() -> None:
    Book.objects.update(title="New")


def write_in_a_transaction() -> None:
    with transaction.atomic():
        write_alone()


def write_and_roll_back() -> None:
    with transaction.atomic():
        write_alone()
        transaction.set_rollback(True)
