"""Emptying the cache, or a part of it: every entry is dead at once, then its memory is freed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from django.apps import apps

from readcache.declarations import ReadCache, declarations, declared_tags
from readcache.discovery import import_views
from readcache.inspection import entry_keys
from readcache.invalidation.rotations import announce
from readcache.storage.current import known_tags, store

SCAN_STEP = 1_000
EVERYTHING = ("",)


class UnknownName(ValueError):
    """A name that is neither the prefix of a ``ReadCache`` nor a model that one depends on."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The tags to rotate, and what the keys of the entries that this kills begin with."""

    tags: frozenset[str]
    starts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Flushed:
    """After ``rotation_seconds`` no selected entry was live any more."""

    entries: int
    rotation_seconds: float
    seconds: float


def select(names: Sequence[str] = ()) -> Selection:
    """The entries of these prefixes and models (``app_label.Model``); without names, all entries.

    Raises ``UnknownName``.
    """
    import_views()
    if not names:
        return Selection(tags=declared_tags(), starts=EVERYTHING)
    parts = [_select(name) for name in names]
    return Selection(
        tags=frozenset().union(*(part.tags for part in parts)),
        starts=tuple(dict.fromkeys(start for part in parts for start in part.starts)),
    )


def flush(selection: Selection) -> Flushed:
    """Rotate the tags, then sweep. Raises ``Outage`` and redis-py's errors.

    The rotation takes the same time however many entries are stored. It kills the entries of other
    prefixes too, if they have one of the tags.
    """
    started = time.perf_counter()
    # A Redis that cannot be reached is the caller's error here, not an outage to wait for.
    store().client.ping()
    tags = selection.tags
    if selection.starts == EVERYTHING:
        # Also what only another release declares.
        store().look()
        tags |= known_tags()
    if tags:
        store().rotate(tags)
        announce(tags)
    rotation_seconds = time.perf_counter() - started
    entries = sweep(selection)
    seconds = time.perf_counter() - started
    return Flushed(entries=entries, rotation_seconds=rotation_seconds, seconds=seconds)


def count(selection: Selection) -> int:
    """The number of selected entries, dead ones too. Raises redis-py's errors."""
    return sum(1 for start in selection.starts for _ in entry_keys(store(), start))


def sweep(selection: Selection) -> int:
    """Remove the selected entries with SCAN and UNLINK; returns their number. Raises redis-py's errors."""
    chosen = store()
    removed = 0
    for start in selection.starts:
        keys = entry_keys(chosen, start)
        while batch := list(islice(keys, SCAN_STEP)):
            removed += int(chosen.client.unlink(*batch))
    return removed


def _select(name: str) -> Selection:
    owners = [each for each in declarations() if each.prefix == name]
    if owners:
        return _selection_of(owners, tags=owners[0].tags)
    try:
        model = apps.get_model(name)
    except (AttributeError, LookupError, ValueError):
        raise UnknownName(name) from None
    owners = [each for each in declarations() if model in each.depends_on]
    if not owners:
        raise UnknownName(name)
    return _selection_of(owners, tags=[model._meta.db_table])


def _selection_of(owners: Sequence[ReadCache], *, tags: Sequence[str]) -> Selection:
    return Selection(tags=frozenset(tags), starts=tuple(f"{each.prefix}:" for each in owners))
