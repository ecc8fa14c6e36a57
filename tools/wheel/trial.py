"""What docs/your-project.md promises, tried in a project."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection

from tools.wheel.page import Page
from tools.wheel.project import Project, TrialFailed

NUMBER_OF_LINES = 9
TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.05
MISS = "readcache; fwd=uri-miss; stored"
NEW_DECLARATION = "readcache; fwd=uri-miss; detail=new-declaration"
HIT = r"readcache; hit; ttl=\d+"
STALE = "readcache; fwd=stale; stored"

FIRST_BOOK = """
from library.models import Author, Book
Book.objects.create(title="Emma", author=Author.objects.create(name="Jane"))
"""
# A process that never imports the views.
RENAME = 'from library.models import Author; Author.objects.update(name="Jane Austen")'


def try_page(project: Project, page: Page, *, redis_url: str) -> None:
    """Ask twice, write in another process, ask again, and empty the cache. Raises ``TrialFailed``."""
    if len(page.new_lines) != NUMBER_OF_LINES:
        raise TrialFailed(f"The page promises {NUMBER_OF_LINES} lines and has {len(page.new_lines)}.")
    project.start()
    project.add_settings(page, redis_url=redis_url)
    project.write_view(page.cached_view)
    project.manage("check", "--fail-level", "WARNING")
    project.manage("makemigrations", "library")
    project.manage("migrate")
    project.manage("shell", "-c", FIRST_BOOK)
    with project.served() as port:
        _ask_until_stored(port)
        _ask(port, status=HIT, name="Jane")
        project.manage("shell", "-c", RENAME)
        _ask(port, status=STALE, name="Jane Austen")
        _ask(port, status=HIT, name="Jane Austen")
        _require("1 entry", project.manage("flush_read_cache", "--no-input"))
        _require("The read cache is empty.", project.manage("inspect_read_cache"))
        _ask(port, status=MISS, name="Jane Austen")


def try_tests(project: Project, page: Page) -> None:
    """Run the page's tests in a project that ``try_page`` has made. Raises ``TrialFailed``."""
    project.add_tests(page)
    _require("Ran 1 test", project.manage("test", "--settings", "bookshop.test_settings"))


def _require(text: str, printed: str) -> None:
    if text not in printed:
        raise TrialFailed(f"Expected {text!r} in:\n{printed}")


@dataclass(frozen=True, kw_only=True)
class _Response:
    status: str
    body: str


def _ask_until_stored(port: int) -> None:
    """Nothing is stored in the first two seconds after a declaration."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (found := _get(port).status) == NEW_DECLARATION and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if found != MISS:
        raise TrialFailed(f"Expected Cache-Status {MISS!r}, got {found!r}.")


def _ask(port: int, *, status: str, name: str) -> None:
    found = _get(port)
    if not re.fullmatch(status, found.status) or f'"name":"{name}"' not in found.body:
        raise TrialFailed(f"Expected Cache-Status {status!r} and the name {name!r}, got {found}.")


def _get(port: int) -> _Response:
    with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("GET", "/books/")
        response = connection.getresponse()
        return _Response(status=response.headers["Cache-Status"], body=response.read().decode())
