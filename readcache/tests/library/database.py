"""``DATABASES["default"]`` as a URL, in which form a process hands it to the processes that it starts."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote, urlsplit

SQLITE_OPTIONS = {
    # A transaction that will write takes its lock at BEGIN, where it can wait for it.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    # In WAL mode readers go on while one writer writes. The data need not survive a power cut, for
    # which SQLite would wait for the disk after each test.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
}


def database_of(url: str) -> dict[str, Any]:
    """Takes ``sqlite:///path`` and ``postgres://user:password@host:port/name``."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": parts.path.removeprefix("/"),
            "OPTIONS": SQLITE_OPTIONS,
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
    }


def url_of(database: dict[str, Any]) -> str:
    """The URL from which ``database_of`` makes this database's settings again."""
    if database["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{database['NAME']}"
    login = f"{quote(database['USER'], safe='')}:{quote(database['PASSWORD'], safe='')}"
    address = f"{database['HOST']}:{database['PORT']}" if database["PORT"] else database["HOST"]
    return f"postgres://{login}@{address}/{quote(database['NAME'], safe='')}"
