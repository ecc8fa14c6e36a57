"""Serves the hits of one view before Django REST framework starts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.settings import api_settings

from readcache.declarations import ReadCache
from readcache.invalidation import watch
from readcache.invalidation.recording import take_early_reads
from readcache.request.keys import Canonicaliser, canonicalise
from readcache.request.parameters import normalisers_for
from readcache.serving import fills, responses
from readcache.serving.renderers import is_plain_json
from readcache.storage.breaker import Outage
from readcache.storage.current import store

READING_METHODS = ("GET", "HEAD")
REMEMBERED_ACCEPT_HEADERS = 256


class FastPath:
    """The parts of serving one view that do not depend on the request. They are computed once."""

    def __init__(
        self,
        view_class: type[Any],
        declaration: ReadCache,
        *,
        actions: Mapping[str, str] | None,
        initkwargs: Mapping[str, Any],
    ) -> None:
        if not watch.is_installed():
            raise ImproperlyConfigured(
                f"{view_class.__name__} has a read cache, but nothing watches the database for writes. "
                'Add "readcache" to INSTALLED_APPS.'
            )
        self.declaration = declaration
        self._view_class = view_class
        self._actions = actions
        self._initkwargs = initkwargs
        self._accepts_json = functools.lru_cache(REMEMBERED_ACCEPT_HEADERS)(self._negotiates_json)

    @functools.cached_property
    def view(self) -> Any:
        """An instance that serves no request. It shows which parameters and formats the view knows."""
        view = self._view_class(**self._initkwargs)
        view.action_map = self._actions
        for method, action in (self._actions or {}).items():
            setattr(view, method, getattr(view, action))
        request = HttpRequest()
        request.method = "GET"
        # setup() also sets the handler of HEAD.
        view.setup(request)
        view.request, view.format_kwarg = Request(request), None
        if self._actions is not None:
            view.action = self._actions.get("get")
        return view

    @functools.cached_property
    def canonicaliser(self) -> Canonicaliser:
        normalisers = normalisers_for(self.view, self.declaration.parameters)
        return Canonicaliser(self.declaration.prefix, normalisers)

    @functools.cached_property
    def allow(self) -> str:
        return ", ".join(self.view.allowed_methods)

    def sends_plain_json(self, request: HttpRequest) -> bool:
        if request.META.get("QUERY_STRING") and api_settings.URL_FORMAT_OVERRIDE in request.GET:
            return False
        return self._accepts_json(request.META.get("HTTP_ACCEPT", "*/*"))

    def serve_hit(self, request: HttpRequest) -> HttpResponse | None:
        """The response to a hit, otherwise ``None``.

        After a miss the request is canonical and carries the lookup. If the cache is bypassed, the request
        is unchanged.
        """
        chosen, declaration = store(), self.declaration
        query = self.canonicaliser.query(request)
        key = self.canonicaliser.key(request, query)
        try:
            pending = chosen.begin_read(key, chosen.token_keys(declaration.tags))
            # Redis takes longer than these two, so they cost no time.
            has_written, response = watch.has_written(), self._blank()
            lookup = chosen.finish_read(pending)
        except Outage:
            return None
        if has_written:
            return None
        if not (lookup.is_live and lookup.entry):
            canonicalise(request, query, self.canonicaliser)
            # Nothing was read between the tokens and here.
            early = take_early_reads()
            request.read_cache_found = fills.Found(key, lookup, early)  # type: ignore[attr-defined]
            return None
        now = fills.now_ms()
        status = fills.hit_status(lookup.entry, declaration, now)
        return responses.from_entry(request, lookup.entry, status=status, now_ms=now, response=response)

    def _blank(self) -> HttpResponse:
        response = responses.blank()
        response.headers["Allow"] = self.allow
        return response

    def _negotiates_json(self, accept: str) -> bool:
        request = HttpRequest()
        request.META["HTTP_ACCEPT"] = accept
        negotiator = self.view.get_content_negotiator()
        try:
            renderer, media_type = negotiator.select_renderer(Request(request), self.view.get_renderers())
        except (APIException, Http404):
            return False
        return is_plain_json(renderer, media_type)
