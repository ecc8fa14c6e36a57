"""The breaker alone, with commands that fail as redis-py's do."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from readcache.storage import breaker as module
from readcache.storage.breaker import Breaker, Outage

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 10
THREADS = 16


class Server:
    """Counts its calls and flushes, and fails while ``failure`` is set. ``on_flush`` runs inside a flush."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.calls = 0
        self.flushes: list[frozenset[str]] = []
        self.on_flush: Callable[[], None] | None = None

    def answer(self) -> str:
        self.calls += 1
        if self.failure:
            raise self.failure
        return "answer"

    def flush(self, tags: Iterable[str]) -> None:
        self.answer()
        self.flushes.append(frozenset(tags))
        if self.on_flush:
            self.on_flush()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def breaker(server: Server) -> Iterator[Breaker]:
    """Its prober never comes by itself: an hour is longer than any test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PROBE_INTERVAL_SECONDS", 3600)
        breaker = Breaker(server.flush)
        yield breaker
        breaker.close()


@pytest.fixture
def probed(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaker]:
    """Its prober comes a hundred times a second."""
    monkeypatch.setattr(module, "PROBE_INTERVAL_SECONDS", 0.01)
    breaker = Breaker(server.flush)
    yield breaker
    breaker.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "It did not come true in time."
        time.sleep(0.002)


def probers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-cache"]


def fail(breaker: Breaker, server: Server) -> None:
    server.failure = RedisConnectionError("Connection refused.")
    with pytest.raises(Outage):
        breaker.call(server.answer)


# Opening


def test_a_command_that_works_gives_its_result_and_leaves_the_breaker_closed(
    breaker: Breaker, server: Server
) -> None:
    assert breaker.call(server.answer) == "answer"

    assert not breaker.is_open


@pytest.mark.parametrize(
    "failure",
    [
        RedisConnectionError("Connection refused."),
        RedisTimeoutError("Timeout reading from socket"),
        ResponseError("OOM command not allowed when used memory > 'maxmemory'."),
        RedisError("Something else"),
        ConnectionResetError(104, "Connection reset by peer"),
        FileNotFoundError(2, "No such file or directory"),
        TimeoutError("timed out"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_the_first_failure_opens_the_breaker(
    failure: BaseException, breaker: Breaker, server: Server
) -> None:
    server.failure = failure

    with pytest.raises(Outage) as raised:
        breaker.call(server.answer)

    assert raised.value.__cause__ is failure
    assert breaker.is_open


def test_an_error_that_is_not_of_redis_is_not_an_outage(breaker: Breaker, server: Server) -> None:
    server.failure = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        breaker.call(server.answer)

    assert not breaker.is_open


def test_while_the_breaker_is_open_no_command_is_called(breaker: Breaker, server: Server) -> None:
    fail(breaker, server)
    server.failure = None

    for _ in range(100):
        with pytest.raises(Outage):
            breaker.call(server.answer)

    assert server.calls == 1


def test_an_outage_is_logged_once_at_its_beginning_and_once_at_its_end(
    breaker: Breaker, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    fail(breaker, server)
    breaker.open(RedisTimeoutError("of another thread that was already waiting"))
    server.failure = None
    breaker.probe()

    assert [record.getMessage() for record in caplog.records] == [
        "Bypassing the read cache until Redis answers: Connection refused.",
        "Redis is back; sent 0 pending rotations.",
    ]


# Closing


def test_a_probe_that_fails_leaves_the_breaker_open(breaker: Breaker, server: Server) -> None:
    fail(breaker, server)

    assert not breaker.probe()

    assert breaker.is_open


def test_a_probe_that_works_closes_the_breaker(breaker: Breaker, server: Server) -> None:
    fail(breaker, server)
    server.failure = None

    assert breaker.probe()

    assert not breaker.is_open
    assert breaker.call(server.answer) == "answer"


def test_the_prober_tries_until_redis_is_back(probed: Breaker, server: Server) -> None:
    fail(probed, server)
    wait_until(lambda: server.calls >= 4)
    assert probed.is_open

    server.failure = None

    wait_until(lambda: not probed.is_open)
    assert probed.call(server.answer) == "answer"


def test_the_prober_outlives_an_error_that_is_not_of_redis(probed: Breaker, server: Server) -> None:
    fail(probed, server)
    server.failure = ZeroDivisionError()
    wait_until(lambda: server.calls >= 4)
    assert probed.is_open

    server.failure = None

    wait_until(lambda: not probed.is_open)


def test_the_prober_asks_no_more_once_redis_is_back(probed: Breaker, server: Server) -> None:
    fail(probed, server)
    server.failure = None
    wait_until(lambda: not probed.is_open)

    wait_until(lambda: not probers())

    assert len(server.flushes) == 1


def test_a_breaker_opens_and_closes_any_number_of_times(probed: Breaker, server: Server) -> None:
    for _ in range(3):
        fail(probed, server)
        server.failure = None
        wait_until(lambda: not probed.is_open)

    assert len(server.flushes) == 3


# Pending rotations


def test_a_pending_rotation_opens_the_breaker_although_redis_answers(
    breaker: Breaker, server: Server
) -> None:
    breaker.add_pending(["catalog_product"])

    assert breaker.is_open
    with pytest.raises(Outage):
        breaker.call(server.answer)
    assert server.calls == 0


def test_the_prober_flushes_every_pending_rotation_and_closes_the_breaker(
    probed: Breaker, server: Server
) -> None:
    server.failure = RedisConnectionError("Connection refused.")
    probed.add_pending(["catalog_product", "catalog_tag"])
    probed.add_pending(["catalog_category", "catalog_tag"])
    server.failure = None

    wait_until(lambda: not probed.is_open)

    assert server.flushes[0] | server.flushes[-1] == {"catalog_product", "catalog_tag", "catalog_category"}


def test_a_rotation_is_flushed_once(breaker: Breaker, server: Server) -> None:
    breaker.add_pending(["catalog_product"])
    assert breaker.probe()

    fail(breaker, server)
    server.failure = None
    breaker.probe()

    assert server.flushes == [{"catalog_product"}, set()]


def test_a_rotation_stays_pending_when_its_flush_fails(breaker: Breaker, server: Server) -> None:
    breaker.add_pending(["catalog_product"])
    server.failure = RedisTimeoutError("Timeout reading from socket")
    assert not breaker.probe()
    server.failure = None

    assert breaker.probe()

    assert server.flushes == [{"catalog_product"}]


def test_the_breaker_is_open_while_rotations_are_flushed(breaker: Breaker, server: Server) -> None:
    was_open = []
    server.on_flush = lambda: was_open.append(breaker.is_open)
    breaker.add_pending(["catalog_product"])

    breaker.probe()

    assert was_open == [True]


@pytest.mark.parametrize("tag", ["catalog_tag", "catalog_product"], ids=["another tag", "the same tag"])
def test_a_rotation_added_during_a_flush_is_flushed_by_the_next_probe(
    tag: str, breaker: Breaker, server: Server
) -> None:
    # The rotation of the flush came before this write's COMMIT: the write needs one of its own.
    def write() -> None:
        server.on_flush = None
        breaker.add_pending([tag])

    server.on_flush = write
    breaker.add_pending(["catalog_product"])

    assert not breaker.probe()
    assert breaker.is_open
    assert breaker.probe()

    assert not breaker.is_open
    assert server.flushes == [{"catalog_product"}, {tag}]


def test_the_prober_goes_on_after_a_rotation_was_added_during_its_flush(
    probed: Breaker, server: Server
) -> None:
    def write() -> None:
        server.on_flush = None
        probed.add_pending(["catalog_tag"])

    server.on_flush = write
    probed.add_pending(["catalog_product"])

    wait_until(lambda: not probed.is_open)

    assert server.flushes == [{"catalog_product"}, {"catalog_tag"}]


# Threads


def test_of_many_threads_that_fail_together_one_starts_a_prober(breaker: Breaker, server: Server) -> None:
    others = set(probers())
    together = threading.Barrier(THREADS)
    server.failure = RedisConnectionError("Connection refused.")

    def fail_together() -> None:
        def command() -> None:
            together.wait(PATIENCE_SECONDS)
            server.answer()

        with pytest.raises(Outage):
            breaker.call(command)

    with ThreadPoolExecutor(max_workers=THREADS) as executor:
        for future in [executor.submit(fail_together) for _ in range(THREADS)]:
            future.result()

    assert server.calls == THREADS
    # Those of other tests may end meanwhile.
    assert len(set(probers()) - others) == 1


def test_no_pending_rotation_of_many_threads_is_lost_during_flushes(probed: Breaker, server: Server) -> None:
    together = threading.Barrier(THREADS)

    def add_pending(number: int) -> None:
        together.wait(PATIENCE_SECONDS)
        for step in range(200):
            probed.add_pending([f"{number}-{step}"])

    with ThreadPoolExecutor(max_workers=THREADS) as executor:
        for future in [executor.submit(add_pending, number) for number in range(THREADS)]:
            future.result()
    wait_until(lambda: not probed.is_open)

    flushed = frozenset[str]().union(*server.flushes)
    assert flushed == {f"{number}-{step}" for number in range(THREADS) for step in range(200)}


def test_a_prober_does_not_keep_the_process_from_ending(breaker: Breaker, server: Server) -> None:
    before = set(probers())
    fail(breaker, server)

    [prober] = set(probers()) - before
    assert prober.daemon


# Closing for good


def test_a_closed_breaker_has_no_prober(breaker: Breaker, server: Server) -> None:
    before = set(probers())
    fail(breaker, server)
    [prober] = set(probers()) - before

    breaker.close()

    prober.join(PATIENCE_SECONDS)
    assert not prober.is_alive()
    assert server.calls == 1


# Forks. In processes of their own: a fork of the test's process would have its threads' locks.


def run_script(script: str) -> str:
    """What the script printed. A process that hangs fails the test."""
    prologue = """
        import logging, os, sys, threading, time
        from readcache.storage import breaker as module
        from readcache.storage.breaker import Breaker, Outage

        def wait_until(condition):
            deadline = time.monotonic() + 10
            while not condition():
                if time.monotonic() > deadline:
                    os._exit(70)
                time.sleep(0.002)

        def forked(work):
            "The child's exit status, after the work; 71 if it hung."
            pid = os.fork()
            if pid == 0:
                work()
                os._exit(0)
            deadline = time.monotonic() + 20
            while True:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    return os.waitstatus_to_exitcode(status)
                if time.monotonic() > deadline:
                    os.kill(pid, 9)
                    os.waitpid(pid, 0)
                    return 71
                time.sleep(0.002)
    """
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", dedent(prologue) + dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_forked_process_flushes_the_pending_rotations_of_its_parent() -> None:
    printed = run_script("""
        flushed_by = []
        module.PROBE_INTERVAL_SECONDS = 3600
        breaker = Breaker(lambda tags: flushed_by.append((os.getpid(), sorted(tags))))
        breaker.add_pending(["catalog_product"])
        module.PROBE_INTERVAL_SECONDS = 0.01

        def child():
            wait_until(lambda: not breaker.is_open)
            if flushed_by != [(os.getpid(), ["catalog_product"])]:
                os._exit(1)

        print(forked(child), breaker.is_open, flushed_by)
    """)

    assert printed == "0 True []"


def test_a_fork_of_a_process_with_a_closed_breaker_starts_no_prober() -> None:
    printed = run_script("""
        breaker = Breaker(lambda tags: None)
        print(forked(lambda: os._exit(threading.active_count())))
    """)

    assert printed == "1"


def test_a_process_forked_while_a_thread_opens_the_breaker_does_not_hang() -> None:
    printed = run_script("""
        is_opening, may_go_on = threading.Event(), threading.Event()

        def in_the_middle(record):
            is_opening.set()
            may_go_on.wait(30)
            return False

        module.PROBE_INTERVAL_SECONDS = 0.01
        flushed = []
        breaker = Breaker(lambda tags: flushed.append(sorted(tags)))
        logging.getLogger("readcache.storage.breaker").addFilter(in_the_middle)
        opening = threading.Thread(target=breaker.open, args=[OSError("away")])
        opening.start()
        is_opening.wait(10)

        def child():
            may_go_on.set()
            breaker.add_pending(["catalog_product"])
            wait_until(lambda: not breaker.is_open)

        print(forked(child))
        may_go_on.set()
        opening.join()
    """)

    assert printed == "0"


# The end


def test_a_process_that_ends_flushes_its_pending_rotations_and_nothing_else() -> None:
    printed = run_script("""
        module.PROBE_INTERVAL_SECONDS = 3600

        def breaker_of(name):
            return Breaker(lambda tags: print(name, sorted(tags)))

        pending, away, dropped = map(breaker_of, ["pending", "away", "dropped"])
        for breaker in (pending, dropped):
            breaker.add_pending(["catalog_product"])
        away.open(OSError("away"))
        dropped.close()
    """)

    assert printed == "pending ['catalog_product']"


def test_a_breaker_that_nobody_has_is_gone() -> None:
    seen = weakref.ref(Breaker(lambda tags: None))
    gc.collect()

    assert seen() is None
