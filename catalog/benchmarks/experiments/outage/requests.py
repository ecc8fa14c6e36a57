"""A visitor who asks for one page all the time and remembers how each request went."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from catalog.benchmarks.clients.http import Visitor
from catalog.benchmarks.strategies.registry import Strategy

INTERVAL_SECONDS = 0.02
POLL_SECONDS = 0.005
PATIENCE_SECONDS = 15.0
NO_ANSWER = 0


@dataclass(frozen=True, kw_only=True)
class Request:
    """``asked`` is monotonic time. ``status`` is ``NO_ANSWER`` where the connection failed.

    ``stock`` is what the answer said of the product's, ``None`` if it was no product. A hit is an
    answer without a query.
    """

    asked: float
    seconds: float
    status: int
    is_hit: bool = False
    stock: int | None = None

    @property
    def answered(self) -> float:
        return self.asked + self.seconds

    @property
    def is_ok(self) -> bool:
        return self.status == 200

    def is_any(self) -> bool:
        return True

    def is_cached(self) -> bool:
        return self.is_ok and self.is_hit


class SteadyVisitor:
    """Asks every ``INTERVAL_SECONDS``, in a thread; later where an answer took longer than that.

    One request at a time, so a worker that waits is asked by nobody else: times are those of
    requests that were asked, and none of them waited for another.
    """

    def __init__(self, strategy: Strategy, port: int, path: str) -> None:
        self.strategy = strategy
        self.requests: list[Request] = []
        self.url = strategy.url(path)
        self._port = port
        self._state = threading.Condition()
        self._is_asking = self._is_paused = False
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._ask_until_done, name="visitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._is_done.set()
        self._thread.join()

    @contextmanager
    def pausing(self, *, within_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Between two requests: the last one has been answered, or takes longer than that already."""
        with self._state:
            self._is_paused = True
            self._state.wait_for(lambda: not self._is_asking, timeout=max(0.0, within_seconds))
        try:
            yield
        finally:
            with self._state:
                self._is_paused = False
                self._state.notify_all()

    def since(self, asked: float) -> list[Request]:
        return [request for request in self.requests if request.asked >= asked]

    def waits_for(self, wanted: Callable[[Request], bool], *, since: float, until: float) -> bool:
        """Whether a request asked since then was as wanted before ``until``, in monotonic time."""
        while not any(map(wanted, self.since(since))):
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _ask_until_done(self) -> None:
        due = time.monotonic()
        with contextlib.closing(Visitor(self._port)) as visitor:
            while not self._is_done.wait(max(0.0, due - time.monotonic())):
                with self._state:
                    self._state.wait_for(lambda: not self._is_paused)
                    self._is_asking = True
                self.requests.append(self._ask(visitor))
                with self._state:
                    self._is_asking = False
                    self._state.notify_all()
                due = max(due + INTERVAL_SECONDS, time.monotonic())

    def _ask(self, visitor: Visitor) -> Request:
        asked = time.monotonic()
        try:
            answer = visitor.get(self.url)
        except (OSError, http.client.HTTPException):
            visitor.close()
            return Request(asked=asked, seconds=time.monotonic() - asked, status=NO_ANSWER)
        seconds = time.monotonic() - asked
        if answer.status != 200:
            return Request(asked=asked, seconds=seconds, status=answer.status)
        return Request(
            asked=asked,
            seconds=seconds,
            status=answer.status,
            is_hit=answer.queries == 0,
            stock=json.loads(answer.body).get("stock"),
        )
