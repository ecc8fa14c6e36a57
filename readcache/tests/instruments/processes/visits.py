"""Threads of one process that ask for the list of books at the same moment."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection
from django.test import Client

from instruments.waiting import PATIENCE_SECONDS
from readcache.storage import current, store


def visit_at_once(threads: str, lock_seconds: str) -> None:
    """Prints ``ready`` and waits for a line before the threads ask.

    The thread that fills the entry prints ``filling`` and is held until another line comes. In the end
    ``status code, Cache-Status, body`` of each answer is printed as JSON.
    """
    store.LOCK_SECONDS = float(lock_seconds)
    visits = _Visits(int(threads))
    with ThreadPoolExecutor(max_workers=int(threads)) as executor:
        answers = [executor.submit(visits.visit) for _ in range(int(threads))]
        visits.all_are_ready.wait(PATIENCE_SECONDS)
        print("ready", flush=True)
        sys.stdin.readline()
        visits.may_ask.set()
        sys.stdin.readline()
        visits.may_fill.set()
        print(json.dumps([answer.result() for answer in answers]), flush=True)


class _Visits:
    def __init__(self, threads: int) -> None:
        # The main thread is one of the parties.
        self.all_are_ready = threading.Barrier(threads + 1)
        self.may_ask = threading.Event()
        self.may_fill = threading.Event()

    def visit(self) -> tuple[int, str, str]:
        try:
            client = Client()
            # Connects to the database and to Redis, and does the imports of a first request.
            client.get("/uncached/books/")
            current.store().read("another key", ())
            self.all_are_ready.wait(PATIENCE_SECONDS)
            assert self.may_ask.wait(PATIENCE_SECONDS)
            with connection.execute_wrapper(self._hold):
                answer = client.get("/books/")
            return answer.status_code, answer["Cache-Status"], answer.content.decode()
        finally:
            connection.close()

    def _hold(self, execute: Any, *statement: Any) -> Any:
        """An execute wrapper: only a fill runs queries."""
        if not self.may_fill.is_set():
            print("filling", flush=True)
            assert self.may_fill.wait(PATIENCE_SECONDS)
        return execute(*statement)
