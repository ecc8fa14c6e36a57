"""Rotations replace the tokens of tags, which makes every entry of these tags dead."""

from __future__ import annotations

from collections.abc import Iterable

from django.dispatch import Signal

from readcache.storage.breaker import Outage
from readcache.storage.current import store

# Sent after each rotation with ``tags``, a frozenset of table names. Errors of receivers are logged.
rotated = Signal()


def rotate_tags(tags: frozenset[str], *, ends: Iterable[str] = ()) -> None:
    """Rotate now, or as soon as Redis answers, and announce the rotation to the receivers of ``rotated``.

    ``ends`` names the marks that end with the rotation.
    """
    rotate_tokens(tags, ends=ends)
    announce(tags)


def rotate_tokens(tags: frozenset[str], *, ends: Iterable[str] = ()) -> None:
    """Whatever interrupts the rotation (a time limit of a task queue, say) leaves it pending."""
    try:
        store().rotate(tags, ends=ends)
    except Outage:
        store().breaker.add_pending(tags, ends=ends)
    except BaseException:
        store().breaker.add_pending(tags, ends=ends)
        raise


def announce(tags: frozenset[str]) -> None:
    rotated.send_robust(sender=None, tags=tags)
