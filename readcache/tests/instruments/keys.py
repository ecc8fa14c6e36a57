"""Canonical queries, and the keys under which entries are stored."""

from __future__ import annotations

from typing import Any

from django.test import RequestFactory

from library.views import BookList
from readcache.request.keys import Canonicaliser
from readcache.request.parameters import normalisers_for
from readcache.storage.current import store


def canonical(query: str, view: type[Any] = BookList) -> str:
    """The canonical form of a query string, for this view."""
    instance = view()
    instance.action_map = None
    canonicaliser = Canonicaliser("x", normalisers_for(instance))
    return canonicaliser.query(RequestFactory().get("/", QUERY_STRING=query))


def stored_keys(redis: Any) -> list[str]:
    """The keys of all entries, sorted, without the start that all keys share."""
    start = store().entry_key("")
    return sorted(key.decode().removeprefix(start) for key in redis.keys(f"{start}*"))
