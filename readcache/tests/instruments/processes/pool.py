"""A process of a pool (``multiprocessing``, or Celery's ``billiard``), which ends without atexit."""

from __future__ import annotations

from importlib import import_module

from django.db import connection

from library.models import Book


def write_in_a_pool(module: str) -> None:
    """Prints ``ready``, waits for a line, prints ``written`` after one write, and ``ended``."""
    connection.close()
    process = import_module(module).get_context("fork").Process(target=_write)
    process.start()
    process.join()
    print("ended", flush=True)


def _write() -> None:
    print("ready", flush=True)
    with open(0, closefd=False) as lines:
        lines.readline()
    Book.objects.update(title="New")
    print("written", flush=True)
