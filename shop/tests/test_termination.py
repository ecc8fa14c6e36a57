import errno
import os
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing, suppress
from importlib import import_module

import pytest

from readcache.testing.interrupts import TERMINATING, interrupts_deferred
from shop.termination import (
    SQLITE_FUNCTIONS,
    UNTOLD,
    Terminated,
    terminations_raised,
)

EVERY = (signal.SIGINT, *TERMINATING)
EVERY_END = (KeyboardInterrupt, Terminated)


@pytest.mark.parametrize("number", TERMINATING)
def test_a_termination_unwinds_and_says_which_it_was(number: signal.Signals) -> None:
    with pytest.raises(Terminated) as raised, terminations_raised():
        os.kill(os.getpid(), number)

    assert raised.value.code == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_second_termination_does_not_cut_the_unwinding_short() -> None:
    put_back = False
    with suppress(Terminated), terminations_raised():
        try:
            # A command that runs another unwinds through both.
            with terminations_raised():
                os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            put_back = True

    assert put_back


@pytest.mark.parametrize("number", EVERY)
def test_a_signal_that_comes_where_python_drops_what_is_raised_comes_again(number: signal.Signals) -> None:
    class Interrupted:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    def work() -> None:
        Interrupted()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pass

    with pytest.raises(EVERY_END), terminations_raised():
        work()


@pytest.mark.parametrize("number", EVERY)
def test_a_signal_that_comes_while_sqlite_calls_a_function_comes_again(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(pattern: str, text: str) -> bool:
        os.kill(os.getpid(), number)
        return True

    monkeypatch.setattr(f"{SQLITE_FUNCTIONS}.re_search", search)
    found: list[object] = []

    def work() -> None:
        with closing(sqlite3.connect(":memory:")) as database:
            import_module(SQLITE_FUNCTIONS).register(database)
            found.extend(database.execute("SELECT 'lamp' REGEXP '^l'").fetchall())
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pass

    with pytest.raises(EVERY_END), terminations_raised():
        work()

    assert found == [(True,)]
    assert signal.getsignal(number) is UNTOLD[number]


def test_what_else_is_dropped_is_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError("of a destructor")

    reported: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: reported.append(str(dropped.exc_value)))

    with terminations_raised():
        Failing()

    assert reported == ["of a destructor"]


def test_what_fails_on_the_way_out_does_not_hide_the_termination() -> None:
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            raise OSError(errno.EIO, "The terminal is gone")

    with pytest.raises(Terminated) as raised, terminations_raised():
        work()

    assert raised.value.code == 129


def test_a_failure_without_a_termination_stays_one() -> None:
    with pytest.raises(OSError, match="No space"), terminations_raised():
        raise OSError(errno.ENOSPC, "No space")


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_a_signal_that_somebody_else_handles_is_left_to_them(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGHUP, handler)
    try:
        with terminations_raised():
            assert signal.getsignal(signal.SIGHUP) is handler
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is handler
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", EVERY)
def test_what_is_deferred_comes_after_the_block(number: signal.Signals) -> None:
    came: list[str] = []

    def work() -> None:
        with interrupts_deferred():
            os.kill(os.getpid(), number)
            came.append("the end of the block")
        came.append("what is after it")

    with pytest.raises(EVERY_END), terminations_raised():
        work()

    assert came == ["the end of the block"]


@pytest.mark.parametrize("manager", [terminations_raised, interrupts_deferred])
def test_in_another_thread_nothing_changes(manager: object) -> None:
    handlers: list[object] = []

    def look() -> None:
        with manager():  # type: ignore[operator]
            handlers.extend(map(signal.getsignal, EVERY))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert handlers == [*map(signal.getsignal, EVERY)]
