"""Hooks that gunicorn calls in the benchmark's servers."""

from __future__ import annotations

import os
import signal
from typing import Any

from catalog.benchmarks.processes import LIMIT_SECONDS
from catalog.benchmarks.processes.query_counting import counting_queries

# The environment variable that turns the counting of queries on.
COUNTS_QUERIES = "BENCH_SERVER_COUNTS_QUERIES"


def on_starting(server: Any) -> None:
    """End the server after the limit. Its workers end with it."""
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)


def post_worker_init(worker: Any) -> None:
    if os.environ[COUNTS_QUERIES]:
        worker.wsgi = counting_queries(worker.wsgi)
