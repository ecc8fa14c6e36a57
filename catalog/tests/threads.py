"""Work in other threads, which have database connections of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def in_another_thread(work: Callable[[], T]) -> T:
    """Do the work to its end on a database connection of its own."""

    def work_and_close() -> T:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(work_and_close).result()
