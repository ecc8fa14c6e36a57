"""The breaker alone, with commands that fail as redis-py's do."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from instruments.processes import breakers
from instruments.processes.process import Process
from instruments.waiting import PATIENCE_SECONDS, wait_until
from readcache.storage import breaker as module
from readcache.storage.breaker import Breaker, Outage

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
    """A breaker whose prober does nothing during a test: it waits an hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PROBE_INTERVAL_SECONDS", 3600)
        breaker = Breaker(server.flush)
        yield breaker
        breaker.close()


@pytest.fixture
def probed(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaker]:
    """A breaker whose prober asks a hundred times a second."""
    monkeypatch.setattr(module, "PROBE_INTERVAL_SECONDS", 0.01)
    breaker = Breaker(server.flush)
    yield breaker
    breaker.close()


def probers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-cache"]


def fail(breaker: Breaker, server: Server) -> None:
    server.failure = RedisConnectionError("Connection refused.")
    with pytest.raises(Outage):
        breaker.call(server.answer)


# Opening


def test_a_command_that_works_returns_its_result_and_leaves_the_breaker_closed(
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


def test_an_error_that_does_not_come_from_redis_is_not_an_outage(breaker: Breaker, server: Server) -> None:
    server.failure = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        breaker.call(server.answer)

    assert not breaker.is_open


def test_an_open_breaker_calls_no_command(breaker: Breaker, server: Server) -> None:
    fail(breaker, server)
    server.failure = None

    for _ in range(100):
        with pytest.raises(Outage):
            breaker.call(server.answer)

    assert server.calls == 1


@pytest.mark.parametrize(
    ("pending", "rotations"),
    [
        ([], "0 pending rotations"),
        (["library_book"], "1 pending rotation"),
        (["library_book", "library_topic"], "2 pending rotations"),
    ],
)
def test_the_log_says_when_an_outage_begins_and_when_it_ends(
    pending: list[str],
    rotations: str,
    breaker: Breaker,
    server: Server,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail(breaker, server)
    breaker.open(RedisTimeoutError("of another thread that was already waiting"))
    breaker.add_pending(pending)
    server.failure = None
    breaker.probe()

    assert [record.getMessage() for record in caplog.records] == [
        "Bypassing the read cache until Redis answers: Connection refused.",
        f"Redis is back; sent {rotations}.",
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


def test_the_prober_asks_until_redis_answers(probed: Breaker, server: Server) -> None:
    fail(probed, server)
    wait_until(lambda: server.calls >= 4)
    assert probed.is_open

    server.failure = None

    wait_until(lambda: not probed.is_open)
    assert probed.call(server.answer) == "answer"


def test_the_prober_survives_an_error_that_does_not_come_from_redis(probed: Breaker, server: Server) -> None:
    fail(probed, server)
    server.failure = ZeroDivisionError()
    wait_until(lambda: server.calls >= 4)
    assert probed.is_open

    server.failure = None

    wait_until(lambda: not probed.is_open)


def test_the_prober_ends_once_redis_answers(probed: Breaker, server: Server) -> None:
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
    breaker.add_pending(["library_book"])

    assert breaker.is_open
    with pytest.raises(Outage):
        breaker.call(server.answer)
    assert server.calls == 0


def test_the_prober_flushes_every_pending_rotation_and_closes_the_breaker(
    probed: Breaker, server: Server
) -> None:
    server.failure = RedisConnectionError("Connection refused.")
    probed.add_pending(["library_book", "library_topic"])
    probed.add_pending(["library_author", "library_topic"])
    server.failure = None

    wait_until(lambda: not probed.is_open)

    assert server.flushes[0] | server.flushes[-1] == {"library_book", "library_topic", "library_author"}


def test_a_rotation_is_flushed_once(breaker: Breaker, server: Server) -> None:
    breaker.add_pending(["library_book"])
    assert breaker.probe()

    fail(breaker, server)
    server.failure = None
    breaker.probe()

    assert server.flushes == [{"library_book"}, set()]


def test_a_rotation_stays_pending_when_its_flush_fails(breaker: Breaker, server: Server) -> None:
    breaker.add_pending(["library_book"])
    server.failure = RedisTimeoutError("Timeout reading from socket")
    assert not breaker.probe()
    server.failure = None

    assert breaker.probe()

    assert server.flushes == [{"library_book"}]


def test_the_breaker_is_open_while_rotations_are_flushed(breaker: Breaker, server: Server) -> None:
    was_open = []
    server.on_flush = lambda: was_open.append(breaker.is_open)
    breaker.add_pending(["library_book"])

    breaker.probe()

    assert was_open == [True]


@pytest.mark.parametrize("tag", ["library_topic", "library_book"], ids=["another tag", "the same tag"])
def test_a_rotation_added_during_a_flush_is_flushed_by_the_next_probe(
    tag: str, breaker: Breaker, server: Server
) -> None:
    # The flush rotated the tag before this write's COMMIT: the write needs a rotation after it.
    def write() -> None:
        server.on_flush = None
        breaker.add_pending([tag])

    server.on_flush = write
    breaker.add_pending(["library_book"])

    assert not breaker.probe()
    assert breaker.is_open
    assert breaker.probe()

    assert not breaker.is_open
    assert server.flushes == [{"library_book"}, {tag}]


def test_the_prober_goes_on_after_a_rotation_was_added_during_its_flush(
    probed: Breaker, server: Server
) -> None:
    def write() -> None:
        server.on_flush = None
        probed.add_pending(["library_topic"])

    server.on_flush = write
    probed.add_pending(["library_book"])

    wait_until(lambda: not probed.is_open)

    assert server.flushes == [{"library_book"}, {"library_topic"}]


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
    # The probers of other tests may end meanwhile.
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


# The end of a breaker and of a process


def test_closing_a_breaker_ends_its_prober(breaker: Breaker, server: Server) -> None:
    before = set(probers())
    fail(breaker, server)
    [prober] = set(probers()) - before

    breaker.close()

    prober.join(PATIENCE_SECONDS)
    assert not prober.is_alive()
    assert server.calls == 1


def test_a_breaker_without_references_is_collected() -> None:
    seen = weakref.ref(Breaker(lambda tags: None))
    gc.collect()

    assert seen() is None


def test_a_process_that_ends_flushes_its_pending_rotations_and_nothing_else() -> None:
    assert printed_by(breakers.end_with_pending_rotations) == "pending ['library_book']"


# Forks


def printed_by(function: Callable[[], None]) -> str:
    """The output of a process that calls the function."""
    with Process(function) as process:
        return process.output()


def test_a_forked_process_flushes_the_pending_rotations_of_its_parent() -> None:
    assert printed_by(breakers.fork_with_a_pending_rotation) == "0 True []"


def test_a_fork_of_a_process_with_a_closed_breaker_starts_no_prober() -> None:
    assert printed_by(breakers.fork_with_a_closed_breaker) == "1"


def test_a_process_forked_while_a_thread_opens_the_breaker_does_not_hang() -> None:
    assert printed_by(breakers.fork_while_a_thread_opens_the_breaker) == "0"
