"""Of many requests that miss one entry at once, one fills and the others wait for it.

A filler is held in its query until Redis has heard all the others try to fill: nobody sleeps.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.http import Http404
from pytest_django import Settings
from rest_framework.response import Response
from rest_framework.test import APIClient

from catalog.factories import ProductFactory
from catalog.models import Product
from readcache.conf import DEFAULT_WAIT_SECONDS
from readcache.storage import store as store_module

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[3]
LIST = "/products/"
THREADS = 8
PROCESSES = 4
THREADS_OF_A_PROCESS = 13  # 52 requests at once
PATIENCE_SECONDS = 20
# The list counts, reads its products and reads their tags.
QUERIES_OF_A_FILL = 3


@pytest.fixture(autouse=True)
def _enough_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither wait nor lock runs out in a test that does not say so."""
    settings.READ_CACHE_WAIT_SECONDS = PATIENCE_SECONDS
    monkeypatch.setattr(store_module, "LOCK_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def product() -> Product:
    return ProductFactory.create(name="Kettle", price="10.00", stock=5)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "It did not come true in time."
        time.sleep(0.002)


def get(url: str = LIST) -> Response:
    answer: Response = APIClient().get(url)
    assert answer.status_code == 200, answer.content
    return answer


def status(answer: Response) -> str:
    return answer["Cache-Status"].removeprefix("shop; ")


def locks(redis: Any) -> dict[bytes, bytes]:
    return {key: redis.get(key) for key in redis.scan_iter(":rc1:lock:*")}


# What a request that claims a fill of the list or of a product sends at once: its lock, four tokens.
SETS_OF_A_CLAIM = 5


class Claims:
    """Counts the requests that tried to get a lock since it was made; nobody writes meanwhile."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._before = self._calls()

    def _calls(self) -> int:
        return int(self._redis.info("commandstats").get("cmdstat_set", {}).get("calls", 0))

    def wait_for(self, requests: int) -> None:
        wait_until(lambda: self._calls() - self._before >= SETS_OF_A_CLAIM * requests)


@contextmanager
def threads(number: int) -> Iterator[Callable[[Callable[[], Any]], Future[Any]]]:
    """Submits work to threads with database connections of their own."""

    def work_and_close(work: Callable[[], Any]) -> Any:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=number) as executor:
        yield lambda work: executor.submit(work_and_close, work)


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
        # The reading of the tags ends the list.
        if "catalog_tag" in sql and (act := self._take("_after_last")):
            act()
        return result

    def visit(self, url: str = LIST) -> Response:
        with connection.execute_wrapper(self):
            return get(url)


# Threads


def test_of_threads_that_find_a_page_cold_together_one_fills(read_redis: Any, product: Product) -> None:
    claims = Claims(read_redis)
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
    assert locks(read_redis) == {}


def test_of_threads_that_find_a_page_dead_together_one_fills(read_redis: Any, product: Product) -> None:
    get()
    Product.objects.update(price="12.50")
    claims = Claims(read_redis)
    queries = Queries(on_first=lambda: claims.wait_for(THREADS))

    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(queries.visit) for _ in range(THREADS)]]

    assert queries.count == QUERIES_OF_A_FILL
    assert Counter(map(status, answers)) == {"fwd=stale; stored": 1, "fwd=stale; collapsed": THREADS - 1}
    assert all(b"12.50" in answer.content for answer in answers)


def test_the_textbook_computes_the_page_once_for_each_of_them(product: Product) -> None:
    all_are_in_the_view = threading.Barrier(THREADS)
    queries = Queries()

    def visit() -> Response:
        has_waited = False

        def wait_for_the_others(execute: Any, sql: str, *rest: Any) -> Any:
            nonlocal has_waited
            if not has_waited:
                has_waited = True
                all_are_in_the_view.wait(PATIENCE_SECONDS)
            return execute(sql, *rest)

        with connection.execute_wrapper(wait_for_the_others):
            return queries.visit("/textbook/products/")

    with threads(THREADS) as submit:
        for future in [submit(visit) for _ in range(THREADS)]:
            future.result()

    assert queries.count == QUERIES_OF_A_FILL * THREADS


def test_who_gets_the_lock_after_another_has_filled_takes_the_entry_and_gives_the_lock_back(
    read_redis: Any, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_fill = store_module.Store.begin_fill
    queries = Queries()

    def come_second(*arguments: Any) -> Any:
        # Between this request's look for the entry and its claim, another fills from first to last.
        monkeypatch.setattr(store_module.Store, "begin_fill", begin_fill)
        with threads(1) as submit:
            assert status(submit(get).result()) == "fwd=uri-miss; stored"
        return begin_fill(*arguments)

    monkeypatch.setattr(store_module.Store, "begin_fill", come_second)

    assert status(queries.visit()) == "fwd=uri-miss; collapsed"
    assert queries.count == 0
    assert locks(read_redis) == {}


def test_pages_do_not_wait_for_each_other(read_redis: Any, product: Product) -> None:
    other: list[Response] = []
    with threads(1) as submit:
        queries = Queries(on_first=lambda: other.append(submit(lambda: get("/categories/")).result()))
        answer = queries.visit()

    assert status(other[0]) == "fwd=uri-miss; stored"
    assert status(answer) == "fwd=uri-miss; stored"


def test_those_who_waited_get_the_entry_that_was_filled(read_redis: Any, product: Product) -> None:
    claims = Claims(read_redis)
    queries = Queries(on_first=lambda: claims.wait_for(2))

    with threads(2) as submit:
        answers = [future.result() for future in [submit(queries.visit) for _ in range(2)]]

    assert {answer["ETag"] for answer in answers} == {answers[0]["ETag"]}
    assert {answer["Content-Length"] for answer in answers} == {str(len(answers[0].content))}


# Processes

CLIENT = """
import json, sys, threading
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from django.conf import settings
from django.db import connection
from django.test import Client
from readcache.storage import store

store.LOCK_SECONDS = float(sys.argv[1])
settings.READ_CACHE_WAIT_SECONDS = float(sys.argv[2])
threads = int(sys.argv[3])
together = threading.Barrier(threads)

def visit(number):
    try:
        connection.ensure_connection()
        client = Client()
        client.get("/uncached/")
        together.wait(60)
        if number == 0:
            print("ready", flush=True)
            sys.stdin.readline()
        together.wait(60)
        answer = client.get("/products/")
        return answer.status_code, answer["Cache-Status"], answer.content.decode()
    finally:
        connection.close()

with ThreadPoolExecutor(max_workers=threads) as executor:
    print(json.dumps(list(executor.map(visit, range(threads)))), flush=True)
"""


@contextmanager
def client_process(
    *, threads: int, latency_seconds: float, lock_seconds: float = PATIENCE_SECONDS
) -> Iterator[subprocess.Popen[str]]:
    """A process that asks for the list with its threads at once, after a line on its standard input."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "DATABASE_URL": database_url(),
        "PRIVATE_REDIS_DIR": str(django_settings.PRIVATE_REDIS_DIR),
        "REDIS_URL": "",
        "SIMULATED_LATENCY_SECONDS": str(latency_seconds),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(lock_seconds), str(PATIENCE_SECONDS), str(threads)],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def database_url() -> str:
    """Of the tests' own database."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    address = f"{database['HOST']}:{database['PORT']}" if database["PORT"] else database["HOST"]
    return f"postgres://{database['USER']}:{database['PASSWORD']}@{address}/{database['NAME']}"


def send_off(*processes: subprocess.Popen[str]) -> None:
    """Let them ask, all at once."""
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()


@pytest.mark.usefixtures("many_connections")
def test_of_fifty_requests_of_four_processes_at_once_one_fills(read_redis: Any, product: Product) -> None:
    # The fill is slow, so that all the others come while it lasts.
    start: dict[str, Any] = {"threads": THREADS_OF_A_PROCESS, "latency_seconds": 1.5}
    with (
        client_process(**start) as one,
        client_process(**start) as two,
        client_process(**start) as three,
        client_process(**start) as four,
    ):
        processes = [one, two, three, four]
        send_off(*processes)
        answers = []
        for process in processes:
            assert process.stdout
            answers += json.loads(process.stdout.readline())

    assert len(answers) == PROCESSES * THREADS_OF_A_PROCESS >= 50
    fills = [cache_status for _, cache_status, _ in answers if "stored" in cache_status]
    assert fills == ["shop; fwd=uri-miss; stored"]
    waited = [cache_status for _, cache_status, _ in answers if "collapsed" in cache_status]
    assert len(waited) > PROCESSES
    assert all("collapsed" in each or "hit" in each or each in fills for _, each, _ in answers)
    assert {(code, body) for code, _, body in answers} == {(200, get().content.decode())}


def test_a_killed_filler_frees_the_others_when_its_lock_runs_out(read_redis: Any, product: Product) -> None:
    with client_process(threads=1, latency_seconds=60, lock_seconds=1) as filler:
        send_off(filler)
        wait_until(lambda: bool(locks(read_redis)))
        filler.kill()
        filler.wait()
    queries = Queries()
    started = time.monotonic()

    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(queries.visit) for _ in range(THREADS)]]

    assert time.monotonic() - started < PATIENCE_SECONDS / 2
    assert queries.count == QUERIES_OF_A_FILL
    statuses = Counter(status(answer).split("; ")[-1] for answer in answers)
    assert statuses["stored"] == 1
    assert statuses["collapsed"] == THREADS - 1


def test_a_lock_runs_out_before_those_who_wait_for_it_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or all of them would help themselves at once after a filler was killed."""
    # The settings of this module's tests are not those of production.
    monkeypatch.undo()

    assert store_module.LOCK_SECONDS < DEFAULT_WAIT_SECONDS


# Fills that fail


class ViewFailed(Exception):
    pass


def test_a_fill_that_raises_frees_the_others_at_once(read_redis: Any, product: Product) -> None:
    claims = Claims(read_redis)

    def fail_when_all_wait() -> None:
        claims.wait_for(THREADS)
        raise ViewFailed

    queries = Queries(on_first=fail_when_all_wait)

    def visit() -> Response:
        # A test client raises the errors of all clients' requests at that time.
        visitor = APIClient(raise_request_exception=False)
        with connection.execute_wrapper(queries):
            answer: Response = visitor.get(LIST)
        return answer

    started = time.monotonic()
    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(visit) for _ in range(THREADS)]]

    assert time.monotonic() - started < PATIENCE_SECONDS / 2
    assert Counter(answer.status_code for answer in answers) == {500: 1, 200: THREADS - 1}
    assert Counter(status(answer) for answer in answers if answer.status_code == 200) == {
        "fwd=uri-miss; stored": 1,
        "fwd=uri-miss; collapsed": THREADS - 2,
    }
    # The failed one's first query, and those of the one fill after it.
    assert queries.count == 1 + QUERIES_OF_A_FILL
    assert locks(read_redis) == {}


def test_those_who_wait_for_what_is_not_there_look_for_it_together(read_redis: Any, product: Product) -> None:
    claims = Claims(read_redis)
    # Would break if they took turns.
    others = threading.Barrier(THREADS - 1)

    def look_with_the_others(execute: Any, sql: str, *rest: Any) -> Any:
        if first.acquire(blocking=False):
            claims.wait_for(THREADS)
        else:
            others.wait(PATIENCE_SECONDS)
        return execute(sql, *rest)

    def visit() -> Response:
        with connection.execute_wrapper(look_with_the_others):
            answer: Response = APIClient().get(f"{LIST}{product.pk + 1}/")
            return answer

    first = threading.Lock()
    started = time.monotonic()
    with threads(THREADS) as submit:
        answers = [future.result() for future in [submit(visit) for _ in range(THREADS)]]

    # Those who took turns would meet when they have waited too long.
    assert time.monotonic() - started < PATIENCE_SECONDS / 2
    assert {(answer.status_code, status(answer)) for answer in answers} == {(404, "fwd=uri-miss")}
    assert {*locks(read_redis).values()} == {store_module.HIT_FOR_MISS}


def test_what_was_not_there_is_stored_as_soon_as_it_is(read_redis: Any, product: Product) -> None:
    key = product.pk + 1
    assert APIClient().get(f"{LIST}{key}/").status_code == 404
    ProductFactory.create(pk=key)

    assert status(get(f"{LIST}{key}/")) == "fwd=uri-miss; stored"
    assert status(get(f"{LIST}{key}/")).startswith("hit")


# A filler that is too slow


def test_those_who_have_waited_too_long_help_themselves(
    read_redis: Any, product: Product, settings: Settings
) -> None:
    settings.READ_CACHE_WAIT_SECONDS = 0.1
    waited = Queries()
    others: list[Response] = []

    with threads(THREADS) as submit:

        def serve_the_others() -> None:
            futures = [submit(waited.visit) for _ in range(THREADS - 1)]
            # Their answers come although this fill has not ended.
            others.extend(future.result(PATIENCE_SECONDS) for future in futures)

        slow = submit(Queries(on_first=serve_the_others).visit).result()

    assert status(slow) == "fwd=uri-miss; stored"
    # Whoever comes last may find what another has stored: a hit, with its ttl.
    statuses = Counter(status(answer).split("; ")[-1].partition("=")[0] for answer in others)
    assert set(statuses) <= {"stored", "collapsed", "ttl"}
    assert statuses["stored"] >= 1
    assert {answer.content for answer in others} == {slow.content}


def test_a_wait_lasts_as_long_as_the_setting_says(
    read_redis: Any, product: Product, settings: Settings
) -> None:
    settings.READ_CACHE_WAIT_SECONDS = 0.3
    seconds: list[float] = []

    with threads(1) as submit:

        def visit() -> None:
            started = time.monotonic()
            get()
            seconds.append(time.monotonic() - started)

        Queries(on_first=lambda: submit(visit).result()).visit()

    assert 0.3 <= seconds[0] < 0.3 + 1


def test_a_lock_is_only_given_back_by_its_owner(
    read_redis: Any, product: Product, monkeypatch: pytest.MonkeyPatch
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
            wait_until(lambda: not locks(read_redis))
            monkeypatch.setattr(store_module, "LOCK_SECONDS", PATIENCE_SECONDS)
            second.append(submit(Queries(on_first=hold).visit))
            assert second_fills.wait(PATIENCE_SECONDS)
            held.append(locks(read_redis))

        Queries(on_first=lose_the_lock).visit()
        held.append(locks(read_redis))
        first_has_ended.set()
        second[0].result()

    assert len(held[0]) == 1
    assert held[1] == held[0]
    assert locks(read_redis) == {}


@pytest.mark.parametrize("failure", [ViewFailed, Http404], ids=["a failure", "a 404"])
def test_a_fill_that_stores_nothing_takes_nobody_elses_lock_away(
    failure: type[Exception], read_redis: Any, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {}

    def lose_the_lock() -> None:
        [key] = locks(read_redis)
        read_redis.set(key, b"of another")
        others[key] = b"of another"
        raise failure

    with connection.execute_wrapper(Queries(on_first=lose_the_lock)):
        visitor = APIClient()
        visitor.raise_request_exception = False
        assert visitor.get(LIST).status_code in (404, 500)

    assert locks(read_redis) == others


# Writes meanwhile


def test_who_asks_after_a_write_never_gets_what_was_being_filled_before_it(
    read_redis: Any, product: Product
) -> None:
    """The waiters wait for a fill that is dead on arrival; one of them fills anew."""
    waiters: list[Future[Response]] = []
    queries = Queries()

    with threads(THREADS) as submit:

        def write_and_let_the_others_come() -> None:
            submit(lambda: Product.objects.update(price="12.50")).result()
            claims = Claims(read_redis)
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
    assert b"12.50" in get().content


def test_who_waited_during_a_write_gets_the_new_page(read_redis: Any, product: Product) -> None:
    claims = Claims(read_redis)
    waiters: list[Future[Response]] = []
    queries = Queries()

    with threads(THREADS) as submit:

        def let_the_others_come_and_write() -> None:
            waiters.extend(submit(queries.visit) for _ in range(THREADS - 2))
            claims.wait_for(THREADS - 1)
            submit(lambda: Product.objects.update(price="12.50")).result()

        submit(Queries(after_last=let_the_others_come_and_write).visit).result()
        answers = [future.result() for future in waiters]

    assert all(b"12.50" in answer.content for answer in answers)
    assert queries.count == QUERIES_OF_A_FILL
