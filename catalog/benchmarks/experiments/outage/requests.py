"""A client that requests one page all the time and records how each request went."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from catalog.benchmarks.clients.http import HTTPClient
from catalog.benchmarks.strategies.registry import Strategy

INTERVAL_SECONDS = 0.02
POLL_SECONDS = 0.005
PATIENCE_SECONDS = 15.0
NO_RESPONSE = 0
THREAD_NAME = "steady client"


@dataclass(frozen=True, kw_only=True)
class Request:
    """``asked`` is monotonic time. ``status`` is ``NO_RESPONSE`` if the connection failed.

    ``stock`` is the product's, as the response shows it; ``None`` if the status is not 200. A hit is a
    response that took no query.
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

    def is_cached(self) -> bool:
        return self.is_ok and self.is_hit


class SteadyClient:
    """Sends a request every ``INTERVAL_SECONDS``, in a thread; later if a response took longer.

    There is one request at a time, so none waits for another, and times are of the request alone.
    """

    def __init__(self, strategy: Strategy, port: int, path: str) -> None:
        self.requests: list[Request] = []
        self.url = strategy.url(path)
        self._port = port
        self._state = threading.Condition()
        self._is_asking = self._is_paused = False
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._ask_until_done, name=THREAD_NAME, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._is_done.set()
        self._thread.join()

    @contextmanager
    def pausing(self, *, within_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Within the block, no request begins. The last one has been answered, unless it took longer."""
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
        """Whether a request sent after ``since`` is as wanted before ``until``, in monotonic time."""
        while not any(map(wanted, self.since(since))):
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _ask_until_done(self) -> None:
        due = time.monotonic()
        with contextlib.closing(HTTPClient(self._port)) as client:
            while not self._is_done.wait(max(0.0, due - time.monotonic())):
                with self._state:
                    self._state.wait_for(lambda: not self._is_paused)
                    self._is_asking = True
                self.requests.append(self._ask(client))
                with self._state:
                    self._is_asking = False
                    self._state.notify_all()
                due = max(due + INTERVAL_SECONDS, time.monotonic())

    def _ask(self, client: HTTPClient) -> Request:
        asked = time.monotonic()
        try:
            response = client.get(self.url)
        except OSError:
            return Request(asked=asked, seconds=time.monotonic() - asked, status=NO_RESPONSE)
        seconds = time.monotonic() - asked
        if response.status != 200:
            return Request(asked=asked, seconds=seconds, status=response.status)
        return Request(
            asked=asked,
            seconds=seconds,
            status=response.status,
            is_hit=response.queries == 0,
            stock=json.loads(response.content).get("stock"),
        )
