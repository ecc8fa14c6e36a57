"""Runs functions in other threads, each with a separate database connection."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def in_another_thread(work: Callable[[], T]) -> T:
    """Call ``work`` in another thread, wait for it and return its result."""

    def work_and_close() -> T:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(work_and_close).result()
