"""Finds what a view read without declaring it, and reports it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

from readcache.conf import configuration
from readcache.declarations import ReadCache

logger = logging.getLogger(__name__)

_warned: set[tuple[str, str]] = set()


class Undeclared(Exception):
    """With ``READ_CACHE_STRICT``: a view read something that its ``ReadCache`` does not declare.

    An entry with such data would become stale, or would show one account's data to another.
    """


class UndeclaredRead(NamedTuple):
    """``detail`` is for ``Cache-Status``; ``subject`` and ``remedy`` are parts of the message."""

    detail: str
    subject: str
    remedy: str


def find_undeclared_read(
    declaration: ReadCache, *, tables: set[str], read_session: bool, unknown_parameters: Iterable[str]
) -> UndeclaredRead | None:
    """The first reason why a response to this view must not be stored, or ``None``."""
    if others := tables - set(declaration.tags):
        return UndeclaredRead(
            "undeclared-table",
            f"the tables {', '.join(sorted(others))}",
            "Add the models to depends_on, or do not read them.",
        )
    if read_session:
        return UndeclaredRead("session", "the session", "Do not read it, or set read_cache = None.")
    if unknown_parameters:
        return UndeclaredRead(
            "undeclared-parameter",
            f"of the query {', '.join(sorted(unknown_parameters))}",
            "Name them in its parameters.",
        )
    return None


def report(declaration: ReadCache, read: UndeclaredRead) -> None:
    """Warn, once for each view and subject. With ``READ_CACHE_STRICT``, raise ``Undeclared`` instead."""
    message = (
        f"A view with the read cache {declaration.prefix!r} read {read.subject}, which it does not declare. "
        f"Its response was not stored. {read.remedy}"
    )
    if configuration().strict:
        raise Undeclared(message)
    if (declaration.prefix, read.subject) not in _warned:
        _warned.add((declaration.prefix, read.subject))
        logger.warning(message)
