"""A new Django project with the app ``library``, to which the page's lines are added."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.wheel.page import Page

COMMAND_TIMEOUT_SECONDS = 120
SERVER_TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.05
PAGES_REDIS_URL = "redis://127.0.0.1:6379/2"

MODELS = """
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100)


class Book(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
"""
ABOVE_THE_VIEW = """
from rest_framework import generics, serializers
from rest_framework.permissions import IsAuthenticatedOrReadOnly

from library.models import Author, Book


class BookSerializer(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ["title", "author"]
        depth = 1


"""
URLS = """
from django.urls import path

from library import views

urlpatterns = [path("books/", views.BookList.as_view())]
"""
TESTS = """
from django.test import TransactionTestCase

from library.models import Author, Book


"""


class TrialFailed(Exception):
    """The project does not do what the page says."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project in ``folder`` that runs with ``python``, the program of a virtual environment.

    ``import_from`` is a folder to import from besides, for an engine that is not installed.
    """

    folder: Path
    python: Path
    import_from: Path | None = None

    def start(self) -> None:
        """Make the project and its app as a newcomer would, with no cache."""
        self.folder.mkdir()
        self._run("-m", "django", "startproject", "bookshop", ".")
        self.manage("startapp", "library")
        self._append("bookshop/settings.py", 'INSTALLED_APPS += ["rest_framework", "library"]\n')
        self._write("bookshop/urls.py", URLS)
        self._write("library/models.py", MODELS)

    def write_view(self, view: str) -> None:
        self._write("library/views.py", ABOVE_THE_VIEW + view)

    def add_settings(self, page: Page, *, redis_url: str) -> None:
        added = page.settings.replace(PAGES_REDIS_URL, redis_url)
        self._append("bookshop/settings.py", f"{page.cache_default}\n{added}")

    def add_tests(self, page: Page) -> None:
        """The page's tests, with the settings for tests in a module ``bookshop.test_settings``."""
        settings = f"from bookshop.settings import *\n\n{page.test_settings}"
        self._write("bookshop/test_settings.py", settings)
        self._write("library/tests.py", TESTS + page.tests)

    def manage(self, *arguments: str) -> str:
        """What the command printed. Raises ``TrialFailed`` if it fails."""
        return self._run("manage.py", *arguments)

    @contextmanager
    def served(self) -> Iterator[int]:
        """The port of a running development server."""
        port = _free_port()
        log_path = self.folder / "server.log"
        with log_path.open("w") as log:
            server = subprocess.Popen(
                [self.python, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        try:
            if not _listens(server, port):
                raise TrialFailed(f"The development server does not run:\n{log_path.read_text()}")
            yield port
        finally:
            server.terminate()
            server.wait(SERVER_TIMEOUT_SECONDS)

    def _run(self, *arguments: str) -> str:
        ended = subprocess.run(
            [self.python, *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
        if ended.returncode != 0:
            raise TrialFailed(f"python {' '.join(arguments)} exited with {ended.returncode}:\n{ended.stdout}")
        return ended.stdout

    def _environment(self) -> dict[str, str]:
        """Without the variables of this process: no settings module, no path to import from."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return kept | ({"PYTHONPATH": str(self.import_from)} if self.import_from else {})

    def _write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text)

    def _append(self, path: str, text: str) -> None:
        with (self.folder / path).open("a") as file:
            file.write(f"\n{text}")


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


def _listens(server: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + SERVER_TIMEOUT_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        time.sleep(POLL_SECONDS)
    return False
