"""Rotations replace the tokens of tags, which makes every entry of these tags dead."""

from __future__ import annotations

from django.dispatch import Signal

from readcache.storage.breaker import Outage
from readcache.storage.current import store

# Sent after each rotation with ``tags``, a frozenset of table names. Errors of receivers are logged.
rotated = Signal()


def rotate_tags(tags: frozenset[str]) -> None:
    """Rotate now, or as soon as Redis answers, and announce the rotation to the receivers of ``rotated``."""
    rotate_tokens(tags)
    announce(tags)


def rotate_tokens(tags: frozenset[str]) -> None:
    try:
        store().rotate(tags)
    except Outage:
        store().breaker.add_pending(tags)


def announce(tags: frozenset[str]) -> None:
    rotated.send_robust(sender=None, tags=tags)
