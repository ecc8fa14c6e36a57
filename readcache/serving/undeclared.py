"""Finds what a view read without declaring it, and reports it."""

from __future__ import annotations

import logging
from typing import NamedTuple

from readcache.conf import configuration
from readcache.declarations import ReadCache
from readcache.request.query import EVERY_PARAMETER

logger = logging.getLogger(__name__)

MOST_WARNINGS = 1_000
LONGEST_SHOWN_NAME = 100
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
    declaration: ReadCache, *, tables: set[str], read_session: bool, unknown_parameters: frozenset[str]
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
        # The names that a walk over the query came by are the visitor's.
        names = unknown_parameters & {EVERY_PARAMETER} or unknown_parameters
        return UndeclaredRead(
            "undeclared-parameter",
            f"of the query {', '.join(sorted(map(_shown, names)))}",
            "Name them in its parameters.",
        )
    return None


def find_untimely_read(
    declaration: ReadCache, *, early: frozenset[str], by_helpers: set[str]
) -> UndeclaredRead | None:
    """The read because of which a response may be older than its tokens, or depend on other tables.

    ``early`` are declared tables that were read before the tokens, and ``by_helpers`` the tables that
    threads without a request read during the fill.
    """
    if early:
        return UndeclaredRead(
            "read-before-tokens",
            f"the tables {', '.join(sorted(early))} before its handler: in a middleware, in setup() or "
            "initial(), in a permission, or in a helper thread",
            "Read them in the handler.",
        )
    if others := by_helpers - set(declaration.tags):
        return UndeclaredRead(
            "helper-thread",
            f"the tables {', '.join(sorted(others))} in a helper thread, or another thread did at that time",
            "Add the models to depends_on.",
        )
    return None


def report(declaration: ReadCache, read: UndeclaredRead) -> None:
    """Warn, once for each view and subject. With ``READ_CACHE_STRICT``, raise ``Undeclared`` instead."""
    message = f"{_subject(declaration, read)}, which it does not declare. {_remedy(read)}"
    if configuration().strict:
        raise Undeclared(message)
    _warn_once(declaration, read, message)


def warn(declaration: ReadCache, read: UndeclaredRead) -> None:
    """Warn, once for each view and subject."""
    _warn_once(declaration, read, f"{_subject(declaration, read)}. {_remedy(read)}")


def _warn_once(declaration: ReadCache, read: UndeclaredRead, message: str) -> None:
    # Made-up parameters make subjects without end.
    if (declaration.prefix, read.subject) not in _warned and len(_warned) < MOST_WARNINGS:
        _warned.add((declaration.prefix, read.subject))
        logger.warning(message)


def _subject(declaration: ReadCache, read: UndeclaredRead) -> str:
    return f"A view with the read cache {declaration.prefix!r} read {read.subject}"


def _shown(name: str) -> str:
    """The name of a parameter, which a visitor may have made up: one short line."""
    return (
        name if name.isprintable() and len(name) <= LONGEST_SHOWN_NAME else ascii(name[:LONGEST_SHOWN_NAME])
    )


def _remedy(read: UndeclaredRead) -> str:
    return f"Its response was not stored. {read.remedy}"
