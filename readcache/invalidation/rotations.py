"""Rotations replace the tokens of tags, which makes every entry of these tags dead."""

from __future__ import annotations

from collections.abc import Iterable

from django.dispatch import Signal

from readcache.storage.breaker import Outage
from readcache.storage.current import known_tags, store, store_of_writes
from readcache.storage.store import EVERY_TAG

_NOTHING: frozenset[str] = frozenset()
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


def declared_since(known: frozenset[str]) -> frozenset[str]:
    """The tags that this process did not know when it knew ``known``, by a look that is a second old at most.

    Raises ``Outage``.
    """
    if chosen := store_of_writes():
        chosen.look()
    now = known_tags()
    return _NOTHING if now is known else now - known


def rotate_declared_since(known: frozenset[str], *, except_for: frozenset[str]) -> frozenset[str]:
    """Rotate the tags of a write that this process took for undeclared, and return them.

    Each tag that turned out to be declared counts as written. Without an answer, every tag does.
    """
    try:
        late = declared_since(known) - except_for
    except BaseException as error:
        store().breaker.add_pending([EVERY_TAG])
        if isinstance(error, Outage):
            return _NOTHING
        raise
    if late:
        rotate_tokens(late)
    return late


def announce(tags: frozenset[str]) -> None:
    """Tell the receivers of ``rotated``, unless there are no tags."""
    if tags:
        rotated.send_robust(sender=None, tags=tags)
