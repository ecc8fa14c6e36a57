from __future__ import annotations

from collections.abc import Callable
from typing import Any

from instruments.marks import end_marks

# Asks for the list of books: the Cache-Status without the cache's name, and the title of the first book.
Read = Callable[[], tuple[str, str]]
LEASE_SECONDS = 2


def warm(redis: Any, *readers: Read) -> None:
    """Store the page under immortal tokens: the marks of the first fill have ended. Each reader hits it."""
    readers[0]()
    end_marks(redis)
    readers[0]()
    for read in readers:
        status, title = read()
        assert status.startswith("hit")
        assert title == "Old"
