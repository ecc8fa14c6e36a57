"""Turns a request into its canonical form, and that into the key of an entry.

Only the query parameters that the view understands count. Defaults and terms that the view ignores are
dropped, numbers are normalised, the last of several single values is kept, and the parameters are sorted.
Each part of a key is percent-encoded, so two different canonical requests never have the same key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest
from django.utils import timezone, translation

from readcache.request.parameters import EVERYTHING_ELSE, Normaliser, all_values
from readcache.request.query import CanonicalQuery

# Redis accepts longer keys, but each hit sends and compares them.
LONGEST_KEY = 300
KEPT_OF_LONG_KEY = 200

UNCONCERNED_MIDDLEWARE = ("django.", "whitenoise.")


class Canonicaliser:
    """Makes requests to one view canonical. Made once for each view."""

    def __init__(self, prefix: str, normalisers: Mapping[str, Normaliser]) -> None:
        self.prefix = prefix
        self._normalisers = dict(sorted(normalisers.items()))
        self._others = self._normalisers.pop(EVERYTHING_ELSE, None)

    def query(self, request: HttpRequest) -> str:
        """The canonical query string, without a question mark."""
        if not request.META.get("QUERY_STRING"):
            return ""
        given = request.GET
        names = sorted(given) if self._others else [name for name in self._normalisers if name in given]
        pairs = [
            (name, value)
            for name in names
            for value in (self._normalisers.get(name) or all_values)(given.getlist(name))
        ]
        return urlencode(pairs)

    def knows(self, name: str) -> bool:
        """Whether the parameter is part of the key."""
        return name in self._normalisers or self._others is not None

    def key(self, request: HttpRequest, query: str, *, variant: str = "") -> str:
        """A readable key of at most ``LONGEST_KEY`` characters. Raises ``DisallowedHost``.

        ``variant`` distinguishes the responses of one URL.
        """
        url = f"{request.scheme}://{request.get_host()}{quote(request.path)}"
        key = f"{self.prefix}:{url}?{query}" if query else f"{self.prefix}:{url}"
        # No encoded part contains "|".
        key += locale_suffix() + (f"|version={quote(variant)}" if variant else "")
        if len(key) <= LONGEST_KEY:
            return key
        # No encoded part contains "#", so no short key looks like this one.
        return f"{key[:KEPT_OF_LONG_KEY]}#{sha256(key.encode()).hexdigest()}"


def locale_suffix() -> str:
    """The active language and time zone, if a middleware has activated others than the site's defaults.

    A response may be translated, and its times are in the current time zone.
    """
    suffix = ""
    if not _locale_may_change():
        return suffix
    if settings.USE_I18N and (language := translation.get_language()) != settings.LANGUAGE_CODE:
        suffix = f"|language={quote(str(language))}"
    if settings.USE_TZ and (zone := timezone.get_current_timezone_name()) != settings.TIME_ZONE:
        suffix += f"|timezone={quote(zone)}"
    return suffix


@cache
def _locale_may_change() -> bool:
    """Whether a middleware could activate a language or a time zone. Of Django's own, only one does.

    Asking Django for them takes a good part of a hit.
    """
    names: Iterable[str] = settings.MIDDLEWARE
    return any(not name.startswith(UNCONCERNED_MIDDLEWARE) or "locale" in name for name in names)


def _forget_locale(*, setting: str, **kwargs: Any) -> None:
    if setting == "MIDDLEWARE":
        _locale_may_change.cache_clear()


setting_changed.connect(_forget_locale, dispatch_uid="read-cache-locale")


def canonicalise(request: HttpRequest, query: str, canonicaliser: Canonicaliser) -> None:
    """Show the view the canonical query, so that no dropped parameter appears in its links."""
    seen: Any = CanonicalQuery.made(query, request.GET, canonicaliser.knows)
    request.GET = seen
    request.META["QUERY_STRING"] = query
