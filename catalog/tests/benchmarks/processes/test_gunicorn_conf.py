from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest

from catalog.benchmarks.processes import LIMIT_SECONDS, gunicorn_conf


def test_a_server_ends_by_itself_after_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[tuple[int, float]] = []
    monkeypatch.setattr(signal, "setitimer", lambda timer, seconds: timers.append((timer, seconds)))

    gunicorn_conf.on_starting(None)

    assert timers == [(signal.ITIMER_REAL, LIMIT_SECONDS)]


@pytest.mark.parametrize(("value", "is_counted"), [("yes", True), ("", False)])
def test_queries_are_counted_on_request(
    value: str, is_counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = SimpleNamespace(wsgi=print)
    monkeypatch.setitem(os.environ, gunicorn_conf.COUNTS_QUERIES, value)

    gunicorn_conf.post_worker_init(worker)

    assert (worker.wsgi is not print) is is_counted
