"""The mixin that serves the reads of a Django REST framework view from the cache.

An entry holds the resource as JSON. A hit for JSON is served before Django REST framework starts. Every
other renderer gets the same data and renders it anew, for the user who asks.
"""

from __future__ import annotations

import functools
import json
import weakref
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.versioning import AcceptHeaderVersioning
from rest_framework.views import APIView

from readcache.declarations import ReadCache
from readcache.request.keys import Canonicaliser, canonicalise
from readcache.request.parameters import normalisers_for
from readcache.request.query import EVERY_PARAMETER
from readcache.serving import fills, responses
from readcache.serving.anonymous import as_anonymous
from readcache.serving.fast_path import READING_METHODS, FastPath
from readcache.serving.renderers import (
    asks_for_plain_json,
    can_render_from_data,
    json_body,
    restore_context,
)

# The handlers of each view that read every parameter: their responses are never stored, so they need to be
# called only once.
_READ_WHOLE_QUERY: weakref.WeakKeyDictionary[type[Any], set[str]] = weakref.WeakKeyDictionary()


class CachedReadMixin(APIView):
    """Serves GET and HEAD from the cache that ``read_cache`` declares. It stands before the view's class.

    Works for generic views, ViewSets and views with a plain ``get``. While the view fills an entry, the
    request has no credentials, because the response is for everyone.
    """

    # ``None`` serves without a cache; ``as_view(read_cache=None)`` does so for one URL.
    read_cache: ReadCache | None = None
    _read_status = "fwd=uri-miss"

    @classmethod
    def as_view(cls, *args: Any, **initkwargs: Any) -> Any:
        view: Callable[..., HttpResponseBase] = super().as_view(*args, **initkwargs)
        declaration: ReadCache | None = initkwargs.get("read_cache", cls.read_cache)
        if declaration is None:
            return view
        actions = args[0] if args else initkwargs.pop("actions", None)
        fast_path = FastPath(cls, declaration, actions=actions, initkwargs=initkwargs)

        @functools.wraps(view)
        def serve_hits_first(request: HttpRequest, *view_args: Any, **view_kwargs: Any) -> HttpResponseBase:
            suffix = view_kwargs.get(api_settings.FORMAT_SUFFIX_KWARG)
            if request.method in READING_METHODS and not suffix and fast_path.sends_plain_json(request):
                hit = fast_path.serve_hit(request)
                if hit is not None:
                    return hit
            return view(request, *view_args, **view_kwargs)

        serve_hits_first.read_cache_fast_path = fast_path  # type: ignore[attr-defined]
        return serve_hits_first

    # Methods that Django REST framework calls

    def perform_authentication(self, request: Request) -> None:
        """Skip authentication for cached JSON, which is the same for everyone."""
        if not (self._reads_cached(request) and asks_for_plain_json(request)):
            super().perform_authentication(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        name = (request.method or "").lower()
        if self._reads_cached(request) and hasattr(self, name):
            # dispatch() looks up the handler after this call.
            setattr(self, name, functools.partial(self._serve_read, getattr(self, name)))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.read_cache is not None and "Cache-Status" not in response.headers:
            status = self._read_status if request.method in READING_METHODS else "fwd=method"
            responses.add_cache_status(response, status=status)
        return response

    # Serving

    def _reads_cached(self, request: Request) -> bool:
        return self.read_cache is not None and request.method in READING_METHODS

    def _serve_read(
        self, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Respond in the format of the request, from an entry, a fill, or the handler alone."""
        declaration = self.read_cache
        if declaration is None:
            return handler(request, *args, **kwargs)
        key, found = _key_and_found(self, declaration, request)
        served = fills.serve(
            declaration, key, lambda status: self._compute(status, handler, request, *args, **kwargs), found
        )
        self._read_status = served.status
        entry = served.entry
        if entry is not None and asks_for_plain_json(request):
            now = fills.now_ms()
            return responses.from_entry(request._request, entry, status=served.status, now_ms=now)
        if served.computed is not None:
            return served.computed.response
        data = json.loads(entry.body) if entry else None
        if not can_render_from_data(self, data, request):
            self._read_status = "fwd=bypass; detail=renderer"
            return handler(request, *args, **kwargs)
        return Response(restore_context(self, data, request))

    def _compute(
        self, status: str, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
    ) -> fills.Computed:
        """Call the handler without credentials, recording which parameters it reads."""
        # The response to an exception gets this status.
        self._read_status = status
        with as_anonymous(request) as session_was_read:
            query: Any = request._request.GET
            # Until here Django REST framework has read parameters, for a format and a version.
            query.unknown.clear()
            walkers = _READ_WHOLE_QUERY.setdefault(type(self), set())
            if handler.__name__ in walkers:
                request._request.GET = query.given
                query.unknown.add(EVERY_PARAMETER)
            response = handler(request, *args, **kwargs)
            if EVERY_PARAMETER in query.unknown and handler.__name__ not in walkers:
                # A view that converts the query to a dict needs the lists of the query that was given.
                walkers.add(handler.__name__)
                request._request.GET = query.given
                response = handler(request, *args, **kwargs)
            body = json_body(self, response.data) if responses.may_be_stored(response) else None
            return fills.Computed(
                response,
                body,
                read_session=session_was_read(),
                unknown_parameters=frozenset(query.unknown),
            )


def _key_and_found(view: Any, declaration: ReadCache, request: Request) -> tuple[str, fills.Found | None]:
    """The key and the result of the fast path. Without a result, makes the request canonical first."""
    http_request = request._request
    found: fills.Found | None = getattr(http_request, "read_cache_found", None)
    if found:
        return found.key, found
    canonicaliser = Canonicaliser(declaration.prefix, normalisers_for(view, declaration.parameters))
    query = canonicaliser.query(http_request)
    canonicalise(http_request, query, canonicaliser)
    return canonicaliser.key(http_request, query, variant=_version_in_accept(view, request)), None


def _version_in_accept(view: Any, request: Request) -> str:
    """The version in the header Accept. Versions of the other classes are part of the URL."""
    versioning = view.versioning_class
    if versioning is None or not issubclass(versioning, AcceptHeaderVersioning):
        return ""
    return "" if request.version == versioning.default_version else str(request.version)
