"""The mixin that serves a Django REST framework view's reads from the cache.

What is cached is the resource, as JSON. A hit for JSON is answered before the framework starts.
Every other renderer gets the same data and renders it afresh, for the user who asks.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException
from rest_framework.pagination import LimitOffsetPagination, PageNumberPagination
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer
from rest_framework.request import Request, override_method
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.utils.serializer_helpers import ReturnDict
from rest_framework.versioning import AcceptHeaderVersioning
from rest_framework.views import APIView

from readcache.declarations import ReadCache
from readcache.request.keys import Canonicaliser, canonicalise
from readcache.request.parameters import is_single, normalisers_for
from readcache.request.query import EVERY_PARAMETER
from readcache.serving import fills, responses
from readcache.serving.fast_path import JSON_TYPE, READING_METHODS, FastPath, is_plain_json
from readcache.storage.store import Lookup

# The attributes in which Django REST framework keeps who asks.
AUTHENTICATION = ("_user", "_auth", "_authenticator")
STORABLE_HEADERS = {"content-type", "vary", "cache-control"}
# These can be given their state without the rows.
KNOWN_PAGES = (PageNumberPagination.paginate_queryset, LimitOffsetPagination.paginate_queryset)


class CachedReadMixin(APIView):
    """Serves GET and HEAD from the cache that ``read_cache`` declares; stands before the view's class.

    For generic views, ViewSets and views with a plain ``get``. While an entry is filled the view
    sees an anonymous visitor, whoever asks: what it answers is for everybody.
    """

    # ``None`` serves without a cache; ``as_view(read_cache=None)`` does so for one URL.
    read_cache: ReadCache | None = None

    @classmethod
    def as_view(cls, *args: Any, **initkwargs: Any) -> Any:
        view: Callable[..., HttpResponseBase] = super().as_view(*args, **initkwargs)
        declaration: ReadCache | None = initkwargs.get("read_cache", cls.read_cache)
        if declaration is None:
            return view
        actions = args[0] if args else initkwargs.pop("actions", None)
        fast_path = FastPath(cls, declaration, actions=actions, initkwargs=initkwargs)

        @functools.wraps(view)
        def answer_hits_first(request: HttpRequest, *view_args: Any, **view_kwargs: Any) -> HttpResponseBase:
            suffix = view_kwargs.get(api_settings.FORMAT_SUFFIX_KWARG)
            if request.method in READING_METHODS and not suffix and fast_path.sends_plain_json(request):
                hit = fast_path.answer_hit(request)
                if hit is not None:
                    return hit
            return view(request, *view_args, **view_kwargs)

        answer_hits_first.read_cache_fast_path = fast_path  # type: ignore[attr-defined]
        return answer_hits_first

    # What Django REST framework calls

    def perform_authentication(self, request: Request) -> None:
        """Nobody is asked who they are for JSON that is the same for everybody."""
        if not (self._reads_cached(request) and _is_plain_json(request)):
            super().perform_authentication(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        name = (request.method or "").lower()
        if self._reads_cached(request) and hasattr(self, name):
            # dispatch() looks the handler up after this.
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

    _read_status = "fwd=uri-miss"

    def _serve_read(
        self, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        declaration = self.read_cache
        if declaration is None:
            return handler(request, *args, **kwargs)
        http_request = request._request
        key, lookup = _key_and_lookup(self, declaration, request)
        served = fills.serve(
            declaration, key, lambda why: self._compute(why, handler, request, *args, **kwargs), lookup
        )
        self._read_status = served.status
        if served.entry is not None and _is_plain_json(request):
            return responses.answer(http_request, served.entry, status=served.status, now_ms=fills.now_ms())
        if served.computed is not None:
            return served.computed.response
        data = json.loads(served.entry.body) if served.entry else None
        if not self._suffices(data, request):
            self._read_status = "fwd=bypass; detail=renderer"
            return handler(request, *args, **kwargs)
        return Response(self._as_the_view_gave_it(data, request))

    def _compute(
        self, why: str, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
    ) -> fills.Computed:
        # What the answer to an exception says.
        self._read_status = why
        with _as_visitor(request) as session:
            query: Any = request._request.GET
            # The framework has looked for a format and a version until now.
            query.unknown.clear()
            response = handler(request, *args, **kwargs)
            if EVERY_PARAMETER in query.unknown:
                # Made a dict, the canonical query has single values, and the given one has lists.
                request._request.GET = query.given
                response = handler(request, *args, **kwargs)
            body = self._body_of(response) if _may_be_stored(response) else None
            unknown = frozenset(query.unknown)
            return fills.Computed(response, body, looked_at_session=session(), unknown_parameters=unknown)

    def _body_of(self, response: Response) -> bytes:
        renderer = next(each for each in self.get_renderers() if isinstance(each, JSONRenderer))
        context = self.get_renderer_context()
        return bytes(renderer.render(response.data, JSON_TYPE, context))

    def _suffices(self, data: Any, request: Request) -> bool:
        """Whether the renderer needs no more of the view than its data and its paginator's state."""
        # The template's name is in the view's own answer.
        if isinstance(request.accepted_renderer, TemplateHTMLRenderer):
            return False
        paginator = getattr(self, "paginator", None)
        if paginator is None or is_single(self):
            return True
        return type(paginator).paginate_queryset in KNOWN_PAGES and _is_a_page(data)

    def _as_the_view_gave_it(self, data: Any, request: Request) -> Any:
        """The entry's data with what it had in the view, for renderers that show more than data."""
        view: Any = self
        if getattr(view, "paginator", None) is not None and _is_a_page(data):
            # Gives the paginator its state, as if the list had been counted and cut.
            view.paginate_queryset(range(data["count"]))
        elif isinstance(data, dict) and hasattr(self, "retrieve") and self._may_change(request):
            # The form of an admin shows the instance.
            with suppress(Http404):
                return ReturnDict(data, serializer=view.get_serializer(view.get_object()))
        return data

    def _may_change(self, request: Request) -> bool:
        if "PUT" not in self.allowed_methods:
            return False
        try:
            with override_method(self, request, "PUT") as changing:
                self.check_permissions(changing)
        except (APIException, PermissionDenied):
            return False
        return True


def _key_and_lookup(view: Any, declaration: ReadCache, request: Request) -> tuple[str, Lookup | None]:
    """As they were found before the framework started, or else the key, of a request made canonical."""
    http_request = request._request
    found: tuple[str, Lookup] | None = getattr(http_request, "read_cache_lookup", None)
    if found:
        return found
    canonicaliser = Canonicaliser(declaration.prefix, normalisers_for(view, declaration.parameters))
    query = canonicaliser.query(http_request)
    canonicalise(http_request, query, canonicaliser)
    return canonicaliser.key(http_request, query, variant=_version_asked_for(view, request)), None


def _version_asked_for(view: Any, request: Request) -> str:
    """The version that a parameter of Accept names: of all that the framework reads, not in the URL."""
    versioning = view.versioning_class
    if versioning is None or not issubclass(versioning, AcceptHeaderVersioning):
        return ""
    return "" if request.version == versioning.default_version else str(request.version)


def _is_plain_json(request: Request) -> bool:
    return is_plain_json(request.accepted_renderer, request.accepted_media_type)


def _is_a_page(data: Any) -> bool:
    return isinstance(data, dict) and "count" in data and "results" in data


@contextmanager
def _as_visitor(request: Request) -> Iterator[Callable[[], bool]]:
    """The request is an anonymous visitor's inside; yields whether its session was looked at."""
    state: dict[str, Any] = request.__dict__
    authenticated: dict[str, Any] = {name: state[name] for name in AUTHENTICATION if name in state}
    http_user = getattr(request._request, "user", None)
    session = getattr(request._request, "session", None)
    was_accessed = session is not None and session.accessed
    # As Django REST framework does it for a request without credentials.
    request._not_authenticated()  # type: ignore[attr-defined]
    if session is not None:
        session.accessed = False
    try:
        yield lambda: session is not None and session.accessed
    finally:
        if session is not None:
            session.accessed = session.accessed or was_accessed
        for name in AUTHENTICATION:
            state.pop(name, None)
        state.update(authenticated)
        if http_user is not None:
            request._request.user = http_user


def _may_be_stored(response: HttpResponseBase) -> bool:
    """A 200 of the framework's that is for everybody: RFC 9111, section 3."""
    if not isinstance(response, Response) or response.status_code != 200 or response.cookies:
        return False
    # What else the view says in headers is not in an entry, and would be missing from its hits.
    if {name.lower() for name in response.headers} - STORABLE_HEADERS:
        return False
    varies = {name.strip().lower() for name in response.headers.get("Vary", "").split(",")}
    if varies - {"", "accept", "accept-encoding"}:
        return False
    directives = response.headers.get("Cache-Control", "").lower()
    return not any(word in directives for word in ("private", "no-store"))
