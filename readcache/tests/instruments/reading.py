from __future__ import annotations

from collections.abc import Callable

# Asks for the list of books: the Cache-Status without the cache's name, and the title of the first book.
Read = Callable[[], tuple[str, str]]
LEASE_SECONDS = 2
