"""The canonical request: what of a request the answer depends on, and the key made of it.

Only the query parameters that the view understands count. Defaults and invalid terms that the
view ignores are dropped, numbers normalised, of a repeated single value the last one kept, and
the rest sorted. Everything in a key is percent-encoded, so no two different requests can meet.
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

# Redis takes longer keys, but they are compared and sent at each hit.
LONGEST_KEY = 300
KEPT_OF_LONG_KEY = 200

UNCONCERNED_MIDDLEWARE = ("django.", "whitenoise.")


class Canonicaliser:
    """Canonical requests for one view. Made once a view: nothing here depends on the request."""

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
        """Whether the key counts the parameter."""
        return name in self._normalisers or self._others is not None

    def key(self, request: HttpRequest, query: str, *, variant: str = "") -> str:
        """Readable, at most ``LONGEST_KEY`` characters. Raises ``DisallowedHost``.

        ``variant`` tells answers to one URL apart.
        """
        url = f"{request.scheme}://{request.get_host()}{quote(request.path)}"
        key = f"{self.prefix}:{url}?{query}" if query else f"{self.prefix}:{url}"
        # "|" is in no encoded part.
        key += locale_suffix() + (f"|version={quote(variant)}" if variant else "")
        if len(key) <= LONGEST_KEY:
            return key
        # "#" is in no encoded part, so no short key looks like this one.
        return f"{key[:KEPT_OF_LONG_KEY]}#{sha256(key.encode()).hexdigest()}"


def locale_suffix() -> str:
    """What a middleware has activated for this visitor, if it is not the site's own: an answer may be
    translated, and its times are in the current time zone.
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
    """Whether any middleware could activate a language or a time zone. Asking Django for them takes a
    good part of a hit, and of its own middleware one does.
    """
    names: Iterable[str] = settings.MIDDLEWARE
    return any(not name.startswith(UNCONCERNED_MIDDLEWARE) or "locale" in name for name in names)


def _forget_locale(*, setting: str, **kwargs: Any) -> None:
    if setting == "MIDDLEWARE":
        _locale_may_change.cache_clear()


setting_changed.connect(_forget_locale, dispatch_uid="read-cache-locale")


def canonicalise(request: HttpRequest, query: str, canonicaliser: Canonicaliser) -> None:
    """Let the view see the canonical request, so that nothing dropped can echo in a link."""
    seen: Any = CanonicalQuery.made(query, request.GET, canonicaliser.knows)
    request.GET = seen
    request.META["QUERY_STRING"] = query
