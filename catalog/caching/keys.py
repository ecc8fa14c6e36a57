"""The canonical request: what of a request the answer depends on, and the key made of it.

Only the query parameters that the view understands count. Defaults and invalid terms that the
view ignores are dropped, numbers normalised, of a repeated single value the last one kept, and
the rest sorted. Everything in a key is percent-encoded, so no two different requests can meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpRequest, QueryDict
from rest_framework.filters import OrderingFilter, SearchFilter

# Redis takes longer keys, but they are compared and sent at each hit.
LONGEST_KEY = 300
KEPT_OF_LONG_KEY = 200

# Stands for the parameters that are not named: a view that has it understands all.
EVERYTHING_ELSE = "*"

# Gives a parameter's canonical values, none if it changes nothing.
Normaliser = Callable[[list[str]], list[str]]


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
            for value in (self._normalisers.get(name) or _all)(given.getlist(name))
        ]
        return urlencode(pairs)

    def key(self, request: HttpRequest, query: str) -> str:
        """Readable, at most ``LONGEST_KEY`` characters. Raises ``DisallowedHost``."""
        url = f"{request.scheme}://{request.get_host()}{quote(request.path)}"
        key = f"{self.prefix}:{url}?{query}" if query else f"{self.prefix}:{url}"
        if len(key) <= LONGEST_KEY:
            return key
        # "#" is in no encoded part, so no short key looks like this one.
        return f"{key[:KEPT_OF_LONG_KEY]}#{sha256(key.encode()).hexdigest()}"


def canonicalise(request: HttpRequest, query: str) -> None:
    """Let the view see the canonical request, so that nothing dropped can echo in a link."""
    if request.META.get("QUERY_STRING", "") != query:
        request.META["QUERY_STRING"] = query
        request.GET = QueryDict(query, encoding="utf-8")


def normalisers_for(view: Any, extra: Iterable[str] = ()) -> dict[str, Normaliser]:
    """What a Django REST framework view understands, by parameter name.

    A filter backend of another kind names what it reads in ``query_parameters``; one that does not
    is taken to read everything. A widget that spreads a filter over parameters of other names
    needs ``ReadCache(parameters=…)``.
    """
    found: dict[str, Normaliser] = dict.fromkeys(extra, _all)
    # What is not a list has neither filters nor pages.
    if not _is_list(view):
        return found
    for backend in getattr(view, "filter_backends", ()):
        found |= _backend_normalisers(view, backend)
    paginator = getattr(view, "paginator", None)
    if paginator is not None:
        found |= _page_normalisers(paginator)
    return found


def _backend_normalisers(view: Any, backend: type[Any]) -> dict[str, Normaliser]:
    if issubclass(backend, SearchFilter):
        return {backend.search_param: _last}
    if issubclass(backend, OrderingFilter):
        return {backend.ordering_param: _ordering_terms(view, backend)}
    if hasattr(backend, "get_filterset_class"):
        filterset = backend().get_filterset_class(view, getattr(view, "queryset", None))
        return _filter_normalisers(filterset) if filterset is not None else {}
    names = getattr(backend, "query_parameters", None)
    # A backend that does not say what it reads may read anything.
    return dict.fromkeys(names, _all) if names is not None else {EVERYTHING_ELSE: _all}


def _is_list(view: Any) -> bool:
    action = getattr(view, "action_map", None)
    if action is not None:
        return bool(action.get("get") == "list")
    return hasattr(view, "list")


def _all(values: list[str]) -> list[str]:
    return values


def _last(values: list[str]) -> list[str]:
    return values[-1:] if values[-1] else []


def _ordering_terms(view: Any, backend: type[OrderingFilter]) -> Normaliser:
    fields = getattr(view, "ordering_fields", None)
    if fields is None or fields == "__all__":
        return _last
    valid = {field if isinstance(field, str) else field[0] for field in fields}

    def normalise(values: list[str]) -> list[str]:
        terms = [term.strip() for term in values[-1].split(",")]
        kept = ",".join(term for term in terms if term.removeprefix("-") in valid)
        return [kept] if kept else []

    return normalise


def _filter_normalisers(filterset: Any) -> dict[str, Normaliser]:
    found: dict[str, Normaliser] = {}
    for name, filter_ in filterset.base_filters.items():
        widget = filter_.field.widget
        suffixes = getattr(widget, "suffixes", None)
        if suffixes:
            found |= {widget.suffixed(name, suffix): _last for suffix in suffixes}
        else:
            found[name] = _all if getattr(widget, "allow_multiple_selected", False) else _last
    return found


def _page_normalisers(paginator: Any) -> dict[str, Normaliser]:
    names = [
        getattr(paginator, attribute, None)
        for attribute in ("limit_query_param", "offset_query_param", "cursor_query_param")
    ]
    found: dict[str, Normaliser] = {name: _last for name in names if name}
    page_name = getattr(paginator, "page_query_param", None)
    if page_name:
        found[page_name] = _page_number
    size_name = getattr(paginator, "page_size_query_param", None)
    if size_name:
        found[size_name] = _page_size(paginator)
    return found


def _page_number(values: list[str]) -> list[str]:
    number = _positive_integer(values[-1])
    # What is no number is a 404 of the view's, so it must reach the view.
    return values[-1:] if number is None else [str(number)] if number != 1 else []


def _page_size(paginator: Any) -> Normaliser:
    default, most = paginator.page_size, paginator.max_page_size

    def normalise(values: list[str]) -> list[str]:
        size = _positive_integer(values[-1])
        if size is None:
            return []
        size = min(size, most) if most else size
        return [str(size)] if size != default else []

    return normalise


def _positive_integer(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if number > 0 else None
