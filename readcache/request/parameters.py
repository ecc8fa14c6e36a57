"""Finds the query parameters that a view understands, and how to make the values of each canonical."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.http import QueryDict
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.versioning import QueryParameterVersioning

# Stands for all other parameters: a view that has it understands every parameter.
EVERYTHING_ELSE = "*"

# The classes of these packages read the parameters that their attributes name, and no others.
FRAMEWORKS = ("rest_framework", "django_filters")
PAGE_READING_METHODS = frozenset(
    ("paginate_queryset", "get_page_size", "get_page_number", "get_limit", "get_offset", "decode_cursor")
)

# Returns the canonical values of a parameter, or none if they change nothing.
Normaliser = Callable[[list[str]], list[str]]


def normalisers_for(view: Any, extra: Iterable[str] = ()) -> dict[str, Normaliser]:
    """The normalisers of the parameters that a view understands, by name.

    A filter backend or paginator with code of its own names its parameters in ``query_parameters``, or it
    is assumed to read every parameter. ``extra`` names those that the view itself reads.
    """
    found: dict[str, Normaliser] = dict.fromkeys(extra, all_values)
    for backend in getattr(view, "filter_backends", ()):
        found |= _backend_normalisers(view, backend)
    paginator = getattr(view, "paginator", None)
    if paginator is not None and not is_single(view):
        found |= _page_normalisers(paginator)
    versioning = getattr(view, "versioning_class", None)
    if versioning is not None and issubclass(versioning, QueryParameterVersioning):
        found[versioning.version_param] = _last
    return found


def _backend_normalisers(view: Any, backend: type[Any]) -> dict[str, Normaliser]:
    found = _declared_normalisers(backend, reading=None)
    if issubclass(backend, SearchFilter):
        found[str(backend.search_param)] = _last
    elif issubclass(backend, OrderingFilter):
        found[str(backend.ordering_param)] = _ordering_terms(view, backend)
    elif hasattr(backend, "get_filterset_class"):
        filterset = backend().get_filterset_class(view, getattr(view, "queryset", None))
        found |= _filter_normalisers(filterset) if filterset is not None else {}
    return found


def _declared_normalisers(reader: type[Any], *, reading: frozenset[str] | None) -> dict[str, Normaliser]:
    """``reading`` names the methods that read parameters; ``None`` means any method."""
    names = getattr(reader, "query_parameters", None)
    if names is not None:
        return dict.fromkeys(names, all_values)
    for each in reader.__mro__:
        if each is object or each.__module__.partition(".")[0] in FRAMEWORKS:
            continue
        methods = {name for name, value in vars(each).items() if callable(value)}
        if methods if reading is None else methods & reading:
            return {EVERYTHING_ELSE: all_values}
    return {}


def is_single(view: Any) -> bool:
    """Whether the view returns a single resource, which has no pages."""
    action = getattr(view, "action_map", None)
    if action is not None:
        return bool(action.get("get") == "retrieve")
    return hasattr(view, "retrieve") and not hasattr(view, "list")


def all_values(values: list[str]) -> list[str]:
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


class _RecordingQuery(QueryDict):
    """An empty query that records which parameters are read, and whether all of their values are."""

    def __init__(self) -> None:
        super().__init__("", mutable=True)
        self.names: dict[str, Normaliser] = {}

    def get(self, key: Any, default: Any = None) -> Any:
        self.names.setdefault(str(key), _last)
        return default

    def getlist(self, key: Any, default: Any = None) -> Any:
        self.names[str(key)] = all_values
        return [] if default is None else default

    def __contains__(self, key: object) -> bool:
        self.names[str(key)] = all_values
        return False

    def __getitem__(self, key: Any) -> Any:
        self.names.setdefault(str(key), _last)
        return super().__getitem__(key)

    def _everything(self, *arguments: Any) -> Any:
        self.names[EVERYTHING_ELSE] = all_values
        return iter(())

    __iter__ = keys = values = items = lists = _everything


def _filter_normalisers(filterset: Any) -> dict[str, Normaliser]:
    recorded = _RecordingQuery()
    for name, filter_ in filterset.base_filters.items():
        # A widget may read parameters of other names, or several values of one.
        try:
            filter_.field.widget.value_from_datadict(recorded, {}, name)
        except (AttributeError, LookupError, TypeError, ValueError):
            # This widget fails without its parameters, so it cannot show which it reads.
            recorded.names |= {name: all_values, EVERYTHING_ELSE: all_values}
    return recorded.names


def _page_normalisers(paginator: Any) -> dict[str, Normaliser]:
    found = _declared_normalisers(type(paginator), reading=PAGE_READING_METHODS)
    for attribute in ("limit_query_param", "offset_query_param", "cursor_query_param"):
        if name := getattr(paginator, attribute, None):
            found[name] = _last
    page_name = getattr(paginator, "page_query_param", None)
    if page_name:
        found[page_name] = _page_number
    size_name = getattr(paginator, "page_size_query_param", None)
    if size_name:
        found[size_name] = _page_size(paginator)
    return found


def _page_number(values: list[str]) -> list[str]:
    number = _positive_integer(values[-1])
    # The view answers 404 to a page that is not a number, so it must see the value.
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
