"""Replacing the tokens of tags, after which every entry under the old ones is dead."""

from __future__ import annotations

from django.dispatch import Signal

from readcache.storage.breaker import Outage
from readcache.storage.current import store

# Sent after each rotation with ``tags``, a frozenset of table names. Receivers that fail are logged.
rotated = Signal()


def rotate_tags(tags: frozenset[str]) -> None:
    rotate_tokens(tags)
    announce(tags)


def rotate_tokens(tags: frozenset[str]) -> None:
    try:
        store().rotate(tags)
    except Outage:
        store().breaker.add_pending(tags)


def announce(tags: frozenset[str]) -> None:
    rotated.send_robust(sender=None, tags=tags)
