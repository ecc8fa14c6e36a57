"""The configuration of the benchmark's gunicorn servers, as far as it is code: hooks that gunicorn calls."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from catalog.benchmarks.processes.query_counting import counting_queries

LIMIT_SECONDS = "BENCH_SERVER_LIMIT_SECONDS"
COUNTS_QUERIES = "BENCH_SERVER_COUNTS_QUERIES"


def server_environment(*, limit_seconds: float, counts_queries: bool) -> Mapping[str, str]:
    """The variables from which the hooks read their parameters."""
    return {LIMIT_SECONDS: str(limit_seconds), COUNTS_QUERIES: "yes" if counts_queries else ""}


def on_starting(server: Any) -> None:
    """End the server after the limit, also where the benchmark was killed. Its workers end with it."""
    signal.setitimer(signal.ITIMER_REAL, float(os.environ[LIMIT_SECONDS]))


def post_worker_init(worker: Any) -> None:
    if os.environ[COUNTS_QUERIES]:
        worker.wsgi = counting_queries(worker.wsgi)
