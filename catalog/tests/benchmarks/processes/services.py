"""Services for the child processes of the tests."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from django.conf import settings


class Service:
    """A service with a function for each thing that a child process can do."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def greet(self, *, greeting: str) -> str:
        return f"{greeting}, {self.name}"

    def setting(self, name: str) -> Any:
        return getattr(settings, name)

    def pid(self) -> int:
        return os.getpid()

    def print_something(self) -> str:
        sys.stdout.write("something\n")
        sys.stdout.flush()
        return "printed"

    def fail(self) -> NoReturn:
        raise ArithmeticError("Nothing adds up.")

    def exit_without_a_word(self) -> None:
        os._exit(0)

    def hang(self) -> None:
        threading.Event().wait()


@contextmanager
def serving(name: str = "") -> Iterator[Service]:
    yield Service(name)


@contextmanager
def failing(*arguments: object) -> Iterator[Service]:
    sys.exit("No more ink.")
    yield


@contextmanager
def hanging() -> Iterator[Service]:
    sys.stderr.write("I am thinking.")
    sys.stderr.flush()
    threading.Event().wait()
    yield Service()
