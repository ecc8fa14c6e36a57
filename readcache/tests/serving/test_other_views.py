"""Views of kinds that the library does not have. Each answers with a read cache as it does without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import django_filters
import pytest
from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Replace
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django_filters.rest_framework import DjangoFilterBackend
from pytest_django import Settings
from rest_framework import filters, generics, pagination, permissions, renderers, serializers, versioning
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.viewsets import ReadOnlyModelViewSet

from library.models import Author
from readcache.declarations import ReadCache
from readcache.invalidation.rotations import rotated
from readcache.serving import undeclared
from readcache.serving.mixin import CachedReadMixin
from readcache.serving.undeclared import Undeclared

pytestmark = pytest.mark.django_db(transaction=True)

CACHED, UNCACHED = "/cached/", "/uncached/"
urlpatterns: list[Any] = []

Serve = Callable[..., None]


class AuthorSerializer(serializers.ModelSerializer[Author]):
    class Meta:
        model = Author
        fields = ("name", "slug")


class OnePage(pagination.PageNumberPagination):
    page_size = 1


@pytest.fixture(autouse=True)
def _authors() -> None:
    for name in ("a", "b", "c"):
        Author.objects.create(name=name, slug=f"slug-{name}")


@pytest.fixture
def serve(settings: Settings, temporary_declarations: None) -> Iterator[Serve]:
    """Serve a view with a read cache, and without one, in place of the URLs of the library."""
    settings.ROOT_URLCONF = __name__

    def put(view: type[Any], *args: Any, parameters: Sequence[str] = (), **kwargs: Any) -> None:
        bases, open_to_all = (CachedReadMixin, view), {"permission_classes": [permissions.AllowAny]}
        declared = cast("Any", type(view.__name__, bases, open_to_all))
        declared.read_cache = ReadCache("other", depends_on=[Author], timeout=60, parameters=parameters)
        urlpatterns[:] = [
            path("cached/", declared.as_view(*args), kwargs),
            path("uncached/", declared.as_view(*args, read_cache=None), kwargs),
        ]

    yield put
    urlpatterns.clear()
    # A middleware leaves its language and time zone to the next request of the thread.
    translation.deactivate()
    timezone.deactivate()


def list_view(**attributes: Any) -> type[Any]:
    shown = {"queryset": Author.objects.order_by("pk"), "serializer_class": AuthorSerializer}
    return type("Authors", (generics.ListAPIView,), shown | attributes)


def get_view(answer: Callable[[Request], Response], **attributes: Any) -> type[Any]:
    def get(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        return answer(request)

    return type("Plain", (generics.GenericAPIView,), {"get": get} | attributes)


def assert_equal(query: str = "", **headers: Any) -> None:
    """The cached answer equals the uncached one on a miss and on a hit, whatever was asked before."""
    for _ in range(2):
        cached, uncached = (APIClient().get(url + query, **headers) for url in (CACHED, UNCACHED))
        assert cached.status_code == uncached.status_code
        assert cached.content.replace(CACHED.encode(), UNCACHED.encode()) == uncached.content


def html(url: str) -> Any:
    response = APIClient().get(url, HTTP_ACCEPT="text/html")
    assert response.status_code == 200
    return response


# Queries


def test_an_extra_action_is_filtered_and_paged(serve: Serve) -> None:
    class Authors(ReadOnlyModelViewSet[Author]):
        queryset = Author.objects.order_by("pk")
        serializer_class = AuthorSerializer
        pagination_class = OnePage
        filter_backends = (filters.SearchFilter,)
        search_fields = ("name",)

        @action(detail=False)
        def famous(self, request: Request) -> Response:
            page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
            return self.get_paginated_response(self.get_serializer(page, many=True).data)

    serve(Authors, {"get": "famous"})
    for query in ("", "?page=2", "?page=9", "?search=b"):
        assert_equal(query)


@pytest.fixture
def lenient(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production, before the first warning."""
    settings.READ_CACHE_STRICT = False
    monkeypatch.setattr(undeclared, "_warned", set())


READINGS: list[Callable[[Any], Any]] = [
    lambda query: query.get("name"),
    lambda query: ("name" in query and query["name"]) or None,
    lambda query: dict(query).get("name", [None])[-1],
    lambda query: (query.getlist("name") or [None])[-1],
    lambda query: dict(query.items()).get("name"),
    lambda query: query.dict().get("name"),
    lambda query: query.copy().get("name"),
]


def reading_view(read: Callable[[Any], Any]) -> type[Any]:
    def answer(request: Request) -> Response:
        name = read(request.query_params)
        found = Author.objects.order_by("pk")
        return Response([each.name for each in (found.filter(name=name) if name else found)])

    return get_view(answer)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("read", READINGS)
def test_a_view_that_reads_undeclared_parameters_answers_as_without_a_cache(
    read: Callable[[Any], Any], serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    serve(reading_view(read))

    for query in ("", "?name=a", "?name=b", "", "?name=a&name=c"):
        assert_equal(query)

    assert APIClient().get(CACHED)["Cache-Status"] == "library; fwd=uri-miss; detail=undeclared-parameter"
    assert "Name them in its parameters." in caplog.text


@pytest.mark.usefixtures("lenient")
def test_a_view_that_walks_over_its_query_is_called_once_per_request(
    serve: Serve, redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Apart from the first request of a process, which finds out. Nothing is kept of made-up names."""
    calls = []

    def answer(request: Request) -> Response:
        calls.append(sorted(request.query_params))
        return Response([])

    serve(get_view(answer))
    APIClient().get(f"{CACHED}?made-up=0")
    caplog.clear()
    calls.clear()

    for number in range(20):
        APIClient().get(f"{CACHED}?made-up-{number}={number}")

    assert calls == [[f"made-up-{number}"] for number in range(20)]
    assert caplog.records == []
    assert len(undeclared._warned) == 1
    assert len(redis.keys(":rc1:lock:*")) == 1


@pytest.mark.usefixtures("lenient")
def test_the_names_that_a_view_makes_up_are_remembered_and_logged_a_limited_number_of_times(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undeclared, "MOST_WARNINGS", 5)

    def answer(request: Request) -> Response:
        return Response([request.query_params.get(request.query_params["chosen"])])

    serve(get_view(answer), parameters=["chosen"])
    for number in range(20):
        APIClient().get(f"{CACHED}?chosen=name-{number}")

    assert len(caplog.records) == 5
    assert len(undeclared._warned) == 5


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(
    ("read", "shown"),
    [
        (lambda query: query.get(query.get("chosen")), r"'a\nERROR made up"),
        (lambda query: [query.get(name) for name in query], "of the query every parameter,"),
    ],
    ids=["the view's choice", "a walk"],
)
def test_a_made_up_name_takes_one_short_line_of_the_log(
    read: Callable[[Any], Any], shown: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    made_up = f"a%0aERROR%20made%20up{'%20and%20long' * 500}"
    serve(get_view(lambda request: Response([read(request.query_params)])), parameters=["chosen"])

    APIClient().get(f"{CACHED}?chosen={made_up}&{made_up}=1")

    [message] = [record.getMessage() for record in caplog.records]
    assert shown in message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.usefixtures("lenient")
def test_one_action_that_walks_over_its_query_leaves_the_others_cached(serve: Serve) -> None:
    class Authors(ReadOnlyModelViewSet[Author]):
        queryset = Author.objects.order_by("pk")
        serializer_class = AuthorSerializer

        @action(detail=False)
        def walking(self, request: Request) -> Response:
            return Response(sorted(request.query_params))

    serve(Authors, {"get": "walking"})
    urlpatterns.append(path("cached/all/", urlpatterns[0].callback.cls.as_view({"get": "list"})))
    assert "undeclared-parameter" in APIClient().get(CACHED)["Cache-Status"]

    APIClient().get(f"{CACHED}all/")
    assert APIClient().get(f"{CACHED}all/")["Cache-Status"].startswith("library; hit")


def test_a_query_with_the_function_replace_is_cached_and_leaves_its_neighbours_alone(serve: Serve) -> None:
    replaced = Author.objects.annotate(initial=Replace("name", Value("a"), Value("b")))
    serve(list_view(queryset=replaced.order_by("pk")))
    rotations: list[Any] = []

    def note(**arguments: Any) -> None:
        rotations.append(arguments["tags"])

    rotated.connect(note)
    assert_equal()
    assert_equal("?page=2")
    rotated.disconnect(note)

    assert APIClient().get(CACHED)["Cache-Status"].startswith("library; hit")
    assert rotations == []


@pytest.mark.parametrize("in_a_transaction", [False, True])
def test_an_undeclared_parameter_is_an_error_in_strict_mode(in_a_transaction: bool, serve: Serve) -> None:
    serve(reading_view(READINGS[0]))

    raised = pytest.raises(Undeclared, match="of the query name, which it does not declare")
    with raised, transaction.atomic() if in_a_transaction else nullcontext():
        APIClient().get(CACHED)


def test_a_view_that_declares_its_parameters_is_cached(serve: Serve) -> None:
    serve(reading_view(READINGS[0]), parameters=["name"])

    for query in ("", "?name=a", "?name=b", ""):
        assert_equal(query)
    assert "hit" in APIClient().get(f"{CACHED}?name=a")["Cache-Status"]


def test_a_filterset_may_copy_the_query_to_add_defaults(serve: Serve) -> None:
    class ByName(django_filters.FilterSet):  # type: ignore[misc]
        name = django_filters.CharFilter()

        def __init__(self, data: Any = None, **kwargs: Any) -> None:
            data = data.copy()
            data.setdefault("name", "b")
            super().__init__(data, **kwargs)

    serve(
        type(
            "Authors",
            (generics.ListAPIView,),
            {
                "queryset": Author.objects.order_by("pk"),
                "serializer_class": AuthorSerializer,
                "filter_backends": [DjangoFilterBackend],
                "filterset_class": ByName,
            },
        )
    )
    for query in ("", "?name=a"):
        assert_equal(query)
    assert "hit" in APIClient().get(CACHED)["Cache-Status"]


def test_a_single_resource_is_filtered(serve: Serve) -> None:
    shown = {"queryset": Author.objects.all(), "serializer_class": AuthorSerializer}
    searched = {"filter_backends": [filters.SearchFilter], "search_fields": ["name"]}
    serve(
        type("Author", (generics.RetrieveAPIView,), {**shown, **searched, "lookup_field": "slug"}),
        slug="slug-a",
    )
    for query in ("", "?search=b", "?search=a"):
        assert_equal(query)


class SlugSearch(filters.SearchFilter):
    """As in the framework's documentation: another parameter chooses the fields that are searched."""

    def get_search_fields(self, view: Any, request: Request) -> list[str]:
        return ["slug"] if request.query_params.get("by_slug") else ["name"]


class SlugPages(OnePage):
    def get_page_size(self, request: Request) -> int:
        return 2 if request.query_params.get("wide") else 1


@pytest.mark.parametrize(
    ("attributes", "queries"),
    [
        ({"filter_backends": [SlugSearch]}, ["?search=slug-b", "?search=slug-b&by_slug=1"]),
        ({"pagination_class": SlugPages}, ["", "?wide=1"]),
    ],
    ids=["backend", "paginator"],
)
def test_a_backend_or_paginator_with_methods_of_its_own_may_read_any_parameter(
    attributes: dict[str, Any], queries: list[str], serve: Serve
) -> None:
    serve(list_view(**attributes))
    for query in queries:
        assert_equal(query)


class AuthorFilter(django_filters.FilterSet):  # type: ignore[misc]
    name = django_filters.BaseInFilter(widget=django_filters.widgets.QueryArrayWidget)
    pk = django_filters.RangeFilter(field_name="id")

    class Meta:
        model = Author
        fields = ()


@pytest.mark.parametrize(
    "query",
    [
        "name=a,b",
        "name=a&name=b",
        "name[]=a&name[]=b",
        "pk_min=100000000",
        "pk_max=1",
        "pk_min=&pk_max=",
        "pk=1",
    ],
)
def test_a_widget_may_read_several_values_and_other_names(query: str, serve: Serve) -> None:
    serve(list_view(filter_backends=[DjangoFilterBackend], filterset_class=AuthorFilter))
    assert_equal()
    assert_equal(f"?{query}")


# Versions, languages and other headers


@pytest.mark.parametrize(
    ("versioning_class", "query", "accept"),
    [
        (versioning.QueryParameterVersioning, "?version=2", "*/*"),
        (versioning.AcceptHeaderVersioning, "", "application/json; version=2"),
    ],
)
def test_each_version_has_answers_of_its_own(
    versioning_class: type[Any], query: str, accept: str, serve: Serve
) -> None:
    kind = type("Versioning", (versioning_class,), {"default_version": "1"})
    serve(get_view(lambda request: Response({"version": request.version}), versioning_class=kind))
    assert_equal()
    assert_equal(query, HTTP_ACCEPT=accept)
    assert_equal()


def test_each_language_has_answers_of_its_own(serve: Serve, settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    serve(get_view(lambda request: Response({"day": gettext("Monday")})))
    for language in ("en", "de", "fr", "en", "de"):
        assert_equal(HTTP_ACCEPT_LANGUAGE=language)
    assert b"Montag" in APIClient().get(CACHED, HTTP_ACCEPT_LANGUAGE="de").content


def in_the_visitors_time_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """A middleware as in Django's documentation of time zones."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with timezone.override(request.headers["Time-Zone"]):
            return get_response(request)

    return middleware


def test_each_time_zone_has_answers_of_its_own(serve: Serve, settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.in_the_visitors_time_zone"]
    serve(get_view(lambda request: Response({"zone": timezone.get_current_timezone_name()})))
    for name in ("UTC", "Europe/Berlin", "Asia/Tokyo", "UTC", "Asia/Tokyo"):
        assert_equal(HTTP_TIME_ZONE=name)


@pytest.mark.parametrize(
    "accept", ["application/json;q=0.9", "*/*;q=0.8", "text/html;q=0.1, application/json; q=1"]
)
def test_a_weight_in_accept_makes_no_difference(accept: str, serve: Serve) -> None:
    serve(list_view())
    for status in ("fwd=uri-miss; stored", "hit; ttl="):
        response = APIClient().get(CACHED, HTTP_ACCEPT=accept)
        assert response["Cache-Status"].startswith(f"library; {status}")
        assert "ETag" in response


def test_only_a_view_that_is_exempt_from_atomic_requests_is_cached(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    for exempt, status in ((False, "fwd=bypass; detail=transaction"), (True, "fwd=uri-miss; stored")):
        view = list_view()
        if exempt:
            view = method_decorator(transaction.non_atomic_requests, name="dispatch")(view)
        serve(view)
        assert APIClient().get(CACHED)["Cache-Status"] == f"library; {status}"


# Answers


def test_an_answer_with_other_headers_is_not_stored(serve: Serve) -> None:
    serve(get_view(lambda request: Response([1, 2], headers={"X-Total-Count": "2"})))
    for _ in range(2):
        response = APIClient().get(CACHED)
        assert response["X-Total-Count"] == "2"
        assert response["Cache-Status"] == "library; fwd=uri-miss"


class OnlyGreater(OnePage):
    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        return super().paginate_queryset(queryset.filter(name__gt=""), request, view)


class Bare(OnePage):
    def get_paginated_response(self, data: Any) -> Response:
        return Response(data)

    def get_results(self, data: Any) -> Any:
        return data


class ByCursor(pagination.CursorPagination):
    page_size = 1
    ordering = "pk"


class ByOffset(pagination.LimitOffsetPagination):
    default_limit = 1


@pytest.mark.parametrize("paginator", [OnePage, ByOffset, ByCursor, OnlyGreater, Bare])
def test_an_html_page_has_its_controls_with_any_paginator(paginator: type[Any], serve: Serve) -> None:
    serve(list_view(pagination_class=paginator))
    miss, hit = html(CACHED), html(CACHED)
    assert b'class="pag' in miss.content
    for control in (b'class="pag', b"&raquo;", b"Next"):
        assert hit.content.count(control) == miss.content.count(control)


def test_a_template_that_the_view_names_is_rendered_on_a_hit_too(
    serve: Serve, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "author.html").write_text("<b>{{ author }}</b>")
    settings.TEMPLATES = deepcopy(settings.TEMPLATES)
    settings.TEMPLATES[0]["DIRS"] = [str(tmp_path)]
    both = [renderers.TemplateHTMLRenderer, renderers.JSONRenderer]
    serve(
        get_view(lambda request: Response({"author": 1}, template_name="author.html"), renderer_classes=both)
    )
    assert [html(CACHED).content for _ in range(2)] == [b"<b>1</b>"] * 2
