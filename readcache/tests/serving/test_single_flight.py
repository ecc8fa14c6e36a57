"""Of many requests that miss one entry at once, one fills it and the others wait for it.

A filler is held in its query until Redis has heard all the others try to fill: nobody sleeps.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.http import Http404
from pytest_django import Settings
from rest_framework.response import Response
from rest_framework.test import APIClient

from instruments.processes.process import Process
from instruments.processes.visits import visit_at_once
from instruments.rows import make_book
from instruments.transactions import threads
from instruments.visitors import get, status
from instruments.waiting import PATIENCE_SECONDS, wait_until
from library.models import Book
from readcache.conf import DEFAULT_WAIT_SECONDS
from readcache.storage import store as store_module
from readcache.storage.current import store as store_of_this_process
from readcache.storage.scripts import HIT_FOR_MISS

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/books/"
THREADS = 8
PROCESSES = 4
THREADS_OF_A_PROCESS = 13  # 52 requests at once
# No wait and no lock runs out, except in tests that shorten them.
WAIT_SECONDS = 60
# Requests that need not wait any more are answered within this time.
SOON_SECONDS = 10
# The list counts its books, reads them and reads their topics.
QUERIES_OF_A_FILL = 3


@pytest.fixture(autouse=True)
def _enough_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.READ_CACHE_WAIT_SECONDS = WAIT_SECONDS
    monkeypatch.setattr(store_module, "LOCK_SECONDS", WAIT_SECONDS)


@pytest.fixture
def book() -> Book:
    return make_book(price=Decimal("10.00"))


def locks(redis: Any) -> dict[bytes, bytes]:
    return {key: redis.get(key) for key in redis.scan_iter(":rc1:lock:*")}


class Claims:
    """Counts the requests that have tried to get a lock since this was made. Nobody may write meanwhile."""

    def __init__(self, redis: Any) -> None:
        # The first connection of a store rehearses the scripts.
        store_of_this_process().read("another key", ())
        self._redis = redis
        self._before = self._calls()

    def _calls(self) -> int:
        # Of the script that begins a fill.
        return int(self._redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))

    def wait_for(self, requests: int) -> None:
        wait_until(lambda: self._calls() - self._before >= requests)


class Queries:
    """Counts the queries of all threads; ``on_first`` and ``after_last`` run once, in the first fill."""

    def __init__(
        self, *, on_first: Callable[[], None] | None = None, after_last: Callable[[], None] | None = None
    ) -> None:
        self.count = 0
        self._on_first, self._after_last = on_first, after_last
        self._lock = threading.Lock()

    def _take(self, name: str) -> Callable[[], None] | None:
        with self._lock:
            act: Callable[[], None] | None = getattr(self, name)
            setattr(self, name, None)
            return act

    def __call__(self, execute: Any, sql: str, *rest: Any) -> Any:
        with self._lock:
            self.count += 1
        if act := self._take("_on_first"):
            act()
        result = execute(sql, *rest)
        # The list reads the topics last.
        if "library_topic" in sql and (act := self._take("_after_last")):
            act()
        return result

    def visit(self) -> Response:
        with connection.execute_wrapper(self):
            answer: Response = get(LIST)
            return answer


# Threads


def test_of_threads_that_miss_a_page_together_one_fills(redis: Any, book: Book) -> None:
    claims = Claims(redis)
    together = threading.Barrier(THREADS)
    queries = Queries(on_first=lambda: claims.wait_for(THREADS))

    def visit() -> Response:
        together.wait(PATIENCE_SECONDS)
        return queries.visit()

    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(visit) for _ in range(THREADS)]]

    assert queries.count == QUERIES_OF_A_FILL
    assert Counter(map(status, answers)) == {
        "fwd=uri-miss; stored": 1,
        "fwd=uri-miss; collapsed": THREADS - 1,
    }
    assert len({answer.content for answer in answers}) == 1
    assert locks(redis) == {}


def test_of_threads_that_find_a_stale_entry_together_one_fills(redis: Any, book: Book) -> None:
    get(LIST)
    Book.objects.update(price="12.50")
    claims = Claims(redis)
    queries = Queries(on_first=lambda: claims.wait_for(THREADS))

    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(queries.visit) for _ in range(THREADS)]]

    assert queries.count == QUERIES_OF_A_FILL
    assert Counter(map(status, answers)) == {"fwd=stale; stored": 1, "fwd=stale; collapsed": THREADS - 1}
    assert all(b"12.50" in answer.content for answer in answers)


def test_a_request_that_gets_the_lock_after_the_fill_takes_the_entry_and_gives_the_lock_back(
    redis: Any, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_fill = store_module.Store.begin_fill
    queries = Queries()

    def come_second(*arguments: Any) -> Any:
        # After this request missed the entry and before its claim, another request fills the entry.
        monkeypatch.setattr(store_module.Store, "begin_fill", begin_fill)
        with threads(1) as submit:
            assert status(submit(lambda: get(LIST)).result()) == "fwd=uri-miss; stored"
        return begin_fill(*arguments)

    monkeypatch.setattr(store_module.Store, "begin_fill", come_second)

    assert status(queries.visit()) == "fwd=uri-miss; collapsed"
    assert queries.count == 0
    assert locks(redis) == {}


def test_pages_do_not_wait_for_each_other(redis: Any, book: Book) -> None:
    other: list[Response] = []
    with threads(1) as submit:
        queries = Queries(on_first=lambda: other.append(submit(lambda: get("/authors/")).result()))
        answer = queries.visit()

    assert status(other[0]) == "fwd=uri-miss; stored"
    assert status(answer) == "fwd=uri-miss; stored"


def test_requests_that_waited_get_the_entry_that_was_filled(redis: Any, book: Book) -> None:
    claims = Claims(redis)
    queries = Queries(on_first=lambda: claims.wait_for(2))

    with threads(2) as submit:
        answers = [future.result() for future in [submit(queries.visit) for _ in range(2)]]

    assert {answer["ETag"] for answer in answers} == {answers[0]["ETag"]}
    assert {answer["Content-Length"] for answer in answers} == {str(len(answers[0].content))}


# Processes


@pytest.mark.usefixtures("many_connections")
def test_of_fifty_requests_of_four_processes_at_once_one_fills(redis: Any, book: Book) -> None:
    """The fill is held until Redis has heard all the others try, however long a busy machine takes."""
    requests = PROCESSES * THREADS_OF_A_PROCESS
    waits = {"LIBRARY_WAIT_SECONDS": str(WAIT_SECONDS)}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(Process(visit_at_once, THREADS_OF_A_PROCESS, WAIT_SECONDS, **waits))
            for _ in range(PROCESSES)
        ]
        for process in processes:
            process.wait_for("ready")
        claims = Claims(redis)
        for process in processes:
            process.go_on()
        claims.wait_for(requests)
        for process in processes:
            process.go_on()
        lines = [line for process in processes for line in process.output().splitlines()]

    answers = [tuple(answer) for line in lines if line != "filling" for answer in json.loads(line)]
    assert len(answers) == requests >= 50
    # A fill that is held prints this at its first query.
    assert lines.count("filling") == 1
    assert Counter(cache_status for _, cache_status, _ in answers) == {
        "library; fwd=uri-miss; stored": 1,
        "library; fwd=uri-miss; collapsed": requests - 1,
    }
    assert {(code, body) for code, _, body in answers} == {(200, get(LIST).content.decode())}


def test_a_killed_filler_frees_the_others_when_its_lock_runs_out(redis: Any, book: Book) -> None:
    with Process(visit_at_once, 1, 1) as filler:
        filler.wait_for("ready")
        filler.go_on()
        wait_until(lambda: locks(redis))
        filler.kill()
    queries = Queries()
    started = time.monotonic()

    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(queries.visit) for _ in range(THREADS)]]

    assert time.monotonic() - started < SOON_SECONDS
    assert queries.count == QUERIES_OF_A_FILL
    assert Counter(status(answer).split("; ")[-1] for answer in answers) == {
        "stored": 1,
        "collapsed": THREADS - 1,
    }


def test_a_lock_runs_out_before_the_requests_that_wait_for_it_give_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise all of them would compute at once after a filler was killed."""
    # Back to the values of production.
    monkeypatch.undo()

    assert store_module.LOCK_SECONDS < DEFAULT_WAIT_SECONDS


# Fills that fail


class ViewFailed(Exception):
    pass


def test_a_fill_that_raises_frees_the_others_at_once(redis: Any, book: Book) -> None:
    claims = Claims(redis)

    def fail_when_all_wait() -> None:
        claims.wait_for(THREADS)
        raise ViewFailed

    queries = Queries(on_first=fail_when_all_wait)

    def visit() -> Response:
        # A client that raises would also raise the errors of the other clients' requests.
        visitor = APIClient(raise_request_exception=False)
        with connection.execute_wrapper(queries):
            answer: Response = visitor.get(LIST)
        return answer

    started = time.monotonic()
    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(visit) for _ in range(THREADS)]]

    assert time.monotonic() - started < SOON_SECONDS
    assert Counter(answer.status_code for answer in answers) == {500: 1, 200: THREADS - 1}
    assert Counter(status(answer) for answer in answers if answer.status_code == 200) == {
        "fwd=uri-miss; stored": 1,
        "fwd=uri-miss; collapsed": THREADS - 2,
    }
    # The first query of the failed fill, and the queries of the one fill after it.
    assert queries.count == 1 + QUERIES_OF_A_FILL
    assert locks(redis) == {}


def test_requests_that_wait_for_a_404_look_for_it_together_after_the_first(redis: Any, book: Book) -> None:
    claims = Claims(redis)
    # Breaks if the requests take turns.
    others = threading.Barrier(THREADS - 1)

    def look_with_the_others(execute: Any, sql: str, *rest: Any) -> Any:
        if first.acquire(blocking=False):
            claims.wait_for(THREADS)
        else:
            others.wait(PATIENCE_SECONDS)
        return execute(sql, *rest)

    def visit() -> Response:
        with connection.execute_wrapper(look_with_the_others):
            answer: Response = APIClient().get(f"{LIST}{book.pk + 1}/")
            return answer

    first = threading.Lock()
    started = time.monotonic()
    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(visit) for _ in range(THREADS)]]

    # Requests that took turns would meet only after they had waited too long.
    assert time.monotonic() - started < SOON_SECONDS
    assert {(answer.status_code, status(answer)) for answer in answers} == {(404, "fwd=uri-miss")}
    assert {*locks(redis).values()} == {HIT_FOR_MISS}


def test_a_resource_is_stored_as_soon_as_it_exists(redis: Any, book: Book) -> None:
    key = book.pk + 1
    assert APIClient().get(f"{LIST}{key}/").status_code == 404
    make_book(pk=key)

    assert status(get(f"{LIST}{key}/")) == "fwd=uri-miss; stored"
    assert status(get(f"{LIST}{key}/")).startswith("hit")


# Fills that are too slow


def test_requests_that_have_waited_too_long_compute_their_answers(
    redis: Any, book: Book, settings: Settings
) -> None:
    settings.READ_CACHE_WAIT_SECONDS = 0.1
    waited = Queries()
    others: list[Response] = []

    with threads(THREADS) as submit:

        def serve_the_others() -> None:
            futures = [submit(waited.visit) for _ in range(THREADS - 1)]
            # The others are answered although this fill has not ended.
            others.extend(future.result(PATIENCE_SECONDS) for future in futures)

        slow = submit(Queries(on_first=serve_the_others).visit).result()

    assert status(slow) == "fwd=uri-miss; stored"
    # The last may find the entry that another has stored: a hit, with its ttl.
    statuses = Counter(status(answer).split("; ")[-1].partition("=")[0] for answer in others)
    assert set(statuses) <= {"stored", "collapsed", "ttl"}
    assert statuses["stored"] >= 1
    assert {answer.content for answer in others} == {slow.content}


def test_a_wait_lasts_as_long_as_the_setting_says(redis: Any, book: Book, settings: Settings) -> None:
    settings.READ_CACHE_WAIT_SECONDS = 0.3
    seconds: list[float] = []

    with threads(1) as submit:

        def visit() -> None:
            started = time.monotonic()
            get(LIST)
            seconds.append(time.monotonic() - started)

        Queries(on_first=lambda: submit(visit).result()).visit()

    assert 0.3 <= seconds[0] < 0.3 + 1


def test_a_fill_that_lost_its_lock_leaves_the_lock_of_the_next_fill(
    redis: Any, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.05)
    second_fills, first_has_ended = threading.Event(), threading.Event()
    held: list[dict[bytes, bytes]] = []

    def hold() -> None:
        second_fills.set()
        assert first_has_ended.wait(PATIENCE_SECONDS)

    with threads(1) as submit:
        second: list[Future[Response]] = []

        def lose_the_lock() -> None:
            wait_until(lambda: not locks(redis))
            monkeypatch.setattr(store_module, "LOCK_SECONDS", WAIT_SECONDS)
            second.append(submit(Queries(on_first=hold).visit))
            assert second_fills.wait(PATIENCE_SECONDS)
            held.append(locks(redis))

        Queries(on_first=lose_the_lock).visit()
        held.append(locks(redis))
        first_has_ended.set()
        second[0].result()

    assert len(held[0]) == 1
    assert held[1] == held[0]
    assert locks(redis) == {}


@pytest.mark.parametrize("failure", [ViewFailed, Http404], ids=["a failure", "a 404"])
def test_a_fill_that_stores_nothing_leaves_the_lock_of_another_fill(
    failure: type[Exception], redis: Any, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {}

    def lose_the_lock() -> None:
        [key] = locks(redis)
        redis.set(key, b"of another")
        others[key] = b"of another"
        raise failure

    with connection.execute_wrapper(Queries(on_first=lose_the_lock)):
        visitor = APIClient()
        visitor.raise_request_exception = False
        assert visitor.get(LIST).status_code in (404, 500)

    assert locks(redis) == others


# Writes during a fill


def test_a_request_after_a_write_never_gets_the_page_that_was_filled_before_it(
    redis: Any, book: Book
) -> None:
    """The waiters wait for a fill whose entry is dead when it is stored; one of them fills anew."""
    waiters: list[Future[Response]] = []
    queries = Queries()

    with threads(THREADS) as submit:

        def write_and_let_the_others_come() -> None:
            submit(lambda: Book.objects.update(price="12.50")).result()
            claims = Claims(redis)
            waiters.extend(submit(queries.visit) for _ in range(THREADS - 1))
            claims.wait_for(THREADS - 1)

        old = submit(Queries(after_last=write_and_let_the_others_come).visit).result()
        answers = [future.result() for future in waiters]

    assert b"10.00" in old.content
    assert all(b"12.50" in answer.content for answer in answers)
    assert len(answers) == THREADS - 1
    assert queries.count == QUERIES_OF_A_FILL
    statuses = Counter(status(answer).split("; ")[-1] for answer in answers)
    assert statuses == {"stored": 1, "collapsed": THREADS - 2}
    assert b"12.50" in get(LIST).content


def test_a_request_that_waited_during_a_write_gets_the_new_page(redis: Any, book: Book) -> None:
    claims = Claims(redis)
    waiters: list[Future[Response]] = []
    queries = Queries()

    with threads(THREADS) as submit:

        def let_the_others_come_and_write() -> None:
            waiters.extend(submit(queries.visit) for _ in range(THREADS - 2))
            claims.wait_for(THREADS - 1)
            submit(lambda: Book.objects.update(price="12.50")).result()

        submit(Queries(after_last=let_the_others_come_and_write).visit).result()
        answers = [future.result() for future in waiters]

    assert all(b"12.50" in answer.content for answer in answers)
    assert queries.count == QUERIES_OF_A_FILL
