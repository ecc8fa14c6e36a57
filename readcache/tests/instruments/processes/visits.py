"""Threads of one process that ask for the list of books at the same moment.

Arguments: the number of threads, and how many seconds a lock lasts. It prints ``ready`` and waits for a
line before they ask. Whichever of them fills the entry prints ``filling`` and is held until
another line comes. In the end it prints ``status code, Cache-Status, body`` of each answer as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

django.setup()

from django.db import connection
from django.test import Client

from readcache.storage import store

PATIENCE_SECONDS = 60

number_of_threads = int(sys.argv[1])
# The main thread takes part, to tell and to wait for lines.
all_are_ready = threading.Barrier(number_of_threads + 1)
all_may_ask = threading.Event()
fills_may_go_on = threading.Event()


def hold(execute: Any, *statement: Any) -> Any:
    """An execute wrapper: only a fill runs queries."""
    if not fills_may_go_on.is_set():
        print("filling", flush=True)
        assert fills_may_go_on.wait(PATIENCE_SECONDS)
    return execute(*statement)


def visit() -> tuple[int, str, str]:
    try:
        client = Client()
        # Connects to the database, and imports what the first request does.
        client.get("/uncached/books/")
        all_are_ready.wait(PATIENCE_SECONDS)
        assert all_may_ask.wait(PATIENCE_SECONDS)
        with connection.execute_wrapper(hold):
            answer = client.get("/books/")
        return answer.status_code, answer["Cache-Status"], answer.content.decode()
    finally:
        connection.close()


if __name__ == "__main__":
    store.LOCK_SECONDS = float(sys.argv[2])
    with ThreadPoolExecutor(max_workers=number_of_threads) as executor:
        visits = [executor.submit(visit) for _ in range(number_of_threads)]
        all_are_ready.wait(PATIENCE_SECONDS)
        print("ready", flush=True)
        sys.stdin.readline()
        all_may_ask.set()
        sys.stdin.readline()
        fills_may_go_on.set()
        print(json.dumps([each.result() for each in visits]), flush=True)
