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
    DEFAULT_HANDLERS,
    SQLITE_FUNCTIONS,
    Terminated,
    terminations_raised,
)

SIGNALS = (signal.SIGINT, *TERMINATING)
EXCEPTIONS = (KeyboardInterrupt, Terminated)


@pytest.mark.parametrize("number", TERMINATING)
def test_a_termination_unwinds_the_stack_and_gives_the_exit_code_of_its_signal(
    number: signal.Signals,
) -> None:
    with pytest.raises(Terminated) as raised, terminations_raised():
        os.kill(os.getpid(), number)

    assert raised.value.code == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_second_termination_does_not_interrupt_the_unwinding() -> None:
    restored = False
    with suppress(Terminated), terminations_raised():
        try:
            # Nested, as in a command that calls another command.
            with terminations_raised():
                os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            restored = True

    assert restored


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_a_destructor_is_sent_again(number: signal.Signals) -> None:
    class Interrupted:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    def work() -> None:
        Interrupted()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pass

    with pytest.raises(EXCEPTIONS), terminations_raised():
        work()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_a_callback_of_sqlite_is_sent_again(
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

    with pytest.raises(EXCEPTIONS), terminations_raised():
        work()

    assert found == [(True,)]
    assert signal.getsignal(number) is DEFAULT_HANDLERS[number]


def test_another_dropped_exception_is_reported_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError("in a destructor")

    reported: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: reported.append(str(dropped.exc_value)))

    with terminations_raised():
        Failing()

    assert reported == ["in a destructor"]


def test_an_error_during_the_unwinding_does_not_hide_the_termination() -> None:
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            raise OSError(errno.EIO, "The terminal is gone")

    with pytest.raises(Terminated) as raised, terminations_raised():
        work()

    assert raised.value.code == 129


def test_an_error_without_a_termination_is_raised() -> None:
    with pytest.raises(OSError, match="No space"), terminations_raised():
        raise OSError(errno.ENOSPC, "No space")


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_a_signal_with_another_handler_keeps_it(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGHUP, handler)
    try:
        with terminations_raised():
            assert signal.getsignal(signal.SIGHUP) is handler
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is handler
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_deferred_signal_is_raised_after_the_block(number: signal.Signals) -> None:
    came: list[str] = []

    def work() -> None:
        with interrupts_deferred():
            os.kill(os.getpid(), number)
            came.append("the end of the block")
        came.append("the code after the block")

    with pytest.raises(EXCEPTIONS), terminations_raised():
        work()

    assert came == ["the end of the block"]


@pytest.mark.parametrize("manager", [terminations_raised, interrupts_deferred])
def test_handlers_do_not_change_in_another_thread(manager: object) -> None:
    handlers: list[object] = []

    def look() -> None:
        with manager():  # type: ignore[operator]
            handlers.extend(map(signal.getsignal, SIGNALS))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert handlers == [*map(signal.getsignal, SIGNALS)]
