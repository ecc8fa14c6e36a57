"""One write of another process, which is ``alone``, in a ``transaction`` or ``rolled back``."""

from __future__ import annotations

import sys

import django

django.setup()

from django.db import transaction

from library.models import Book


def write() -> None:
    Book.objects.update(title="New")


if __name__ == "__main__":
    if sys.argv[1] == "alone":
        write()
    else:
        with transaction.atomic():
            write()
            transaction.set_rollback(sys.argv[1] == "rolled back")
