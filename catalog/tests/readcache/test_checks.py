from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import models, transaction
from django.db.backends.signals import connection_created
from django.urls import path
from django.utils.decorators import method_decorator
from pytest_django import Settings
from rest_framework import permissions, renderers, throttling, versioning, viewsets
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.models import Product
from readcache import declarations
from readcache.checks import check_declarations, check_views
from readcache.declarations import ReadCache
from readcache.serving.mixin import CachedReadMixin

urlpatterns: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_left_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declarations, "_declared", [*declarations._declared])


@pytest.fixture
def urls(settings: Any) -> Iterator[list[Any]]:
    """The URLs of this module, which are served instead of the shop's."""
    settings.ROOT_URLCONF = __name__
    yield urlpatterns
    urlpatterns.clear()


def view_class(**attributes: Any) -> type[APIView]:
    class View(CachedReadMixin):
        permission_classes = (permissions.AllowAny,)
        read_cache = ReadCache("checked", depends_on=[Product], timeout=60)

        def get(self, request: Any) -> Response:
            return Response({})

    return type("View", (View,), attributes)


def ids(messages: list[Any]) -> list[str]:
    assert all(message.hint for message in messages)
    return [str(message.id) for message in messages]


def test_the_shop_itself_has_nothing_to_complain_about() -> None:
    call_command("check", fail_level="WARNING")


@pytest.mark.parametrize("permission", [permissions.AllowAny, permissions.IsAuthenticatedOrReadOnly])
def test_a_view_that_anyone_may_read_passes(permission: type[Any], urls: list[Any]) -> None:
    urls.append(path("", view_class(permission_classes=[permission]).as_view()))

    assert check_views() == []


@pytest.mark.parametrize(
    "attributes",
    [
        {"permission_classes": [permissions.IsAuthenticated]},
        {"permission_classes": [permissions.AllowAny, permissions.IsAdminUser]},
        {"throttle_classes": [throttling.AnonRateThrottle]},
        {"get_permissions": lambda self: [permissions.IsAdminUser()]},
    ],
)
def test_a_guarded_view_is_refused(
    attributes: dict[str, Any], urls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttling.AnonRateThrottle, "rate", "1/day", raising=False)
    urls.append(path("", view_class(**attributes).as_view()))

    assert ids(check_views()) == ["readcache.E001"]


def test_a_view_whose_cache_is_off_may_be_guarded(urls: list[Any]) -> None:
    view = view_class(permission_classes=[permissions.IsAdminUser])
    urls.append(path("", view.as_view(read_cache=None)))

    assert check_views() == []


def test_a_view_without_json_is_refused(urls: list[Any]) -> None:
    urls.append(path("", view_class(renderer_classes=[renderers.StaticHTMLRenderer]).as_view()))

    assert ids(check_views()) == ["readcache.E004"]


def test_an_unknown_model_is_refused() -> None:
    class Stranger(models.Model):
        class Meta:
            abstract = True

    ReadCache("strange", depends_on=[Product, Stranger], timeout=60)

    assert ids(check_declarations()) == ["readcache.E002"]


def test_two_views_with_one_prefix_are_refused() -> None:
    ReadCache("twice", depends_on=[Product], timeout=60)
    ReadCache("twice", depends_on=[Product], timeout=60)

    messages = check_declarations()

    assert ids(messages) == ["readcache.E003"]
    assert "'twice'" in messages[0].msg


@pytest.mark.parametrize("name", ["dispatch", "initial", "check_permissions"])
def test_a_view_that_does_something_of_its_own_before_its_reads_is_refused(
    name: str, urls: list[Any]
) -> None:
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(type(self), self), name)(*args, **kwargs)

    urls.append(path("guarded/", view_class(**{name: wrapped}).as_view()))

    assert ids(check_views()) == ["readcache.E005"]


def test_a_view_may_be_exempt_from_the_transaction_of_each_request(urls: list[Any]) -> None:
    exempt = method_decorator(transaction.non_atomic_requests, name="dispatch")
    urls.append(path("exempt/", exempt(view_class()).as_view()))

    assert check_views() == []


class HeaderVersioning(versioning.BaseVersioning):
    pass


@pytest.mark.parametrize(
    ("versioning_class", "expected"),
    [
        (versioning.URLPathVersioning, []),
        (versioning.QueryParameterVersioning, []),
        (versioning.AcceptHeaderVersioning, []),
        (HeaderVersioning, ["readcache.E006"]),
    ],
)
def test_a_view_that_reads_its_version_from_elsewhere_is_refused(
    versioning_class: type[Any], expected: list[str], urls: list[Any]
) -> None:
    urls.append(path("versioned/", view_class(versioning_class=versioning_class).as_view()))

    assert ids(check_views()) == expected


def test_a_viewset_may_ask_for_its_action(urls: list[Any]) -> None:
    class Products(CachedReadMixin, viewsets.ReadOnlyModelViewSet[Product]):
        read_cache = ReadCache("checked", depends_on=[Product], timeout=60)
        queryset = Product.objects.all()

        def get_permissions(self) -> list[Any]:
            is_open = self.action in ("list", "retrieve") and self.request.query_params is not None
            return [permissions.AllowAny() if is_open else permissions.IsAdminUser()]

    urls.append(path("products/", Products.as_view({"get": "list"})))

    assert check_views() == []


@pytest.mark.parametrize("seconds", [0, -1, "soon", None, float("nan"), float("inf"), 10**6])
def test_a_lease_that_is_no_time_is_refused(seconds: Any, settings: Settings) -> None:
    settings.READ_CACHE_LEASE_SECONDS = seconds

    assert ids(check_declarations()) == ["readcache.E007"]


@pytest.mark.parametrize(
    ("seconds", "is_right"), [(0, True), (5, True), ("2.5", True), (-1, False), ("", False)]
)
def test_a_wait_is_no_less_than_nothing(seconds: Any, is_right: bool, settings: Settings) -> None:
    settings.READ_CACHE_WAIT_SECONDS = seconds

    assert ids(check_declarations()) == ([] if is_right else ["readcache.E007"])


@pytest.mark.parametrize(
    "caches",
    [
        {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        {"read": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        {"read": {"BACKEND": "no.such.Backend"}},
    ],
    ids=["no alias", "another backend", "no backend"],
)
def test_an_alias_that_the_engine_cannot_use_is_refused(caches: dict[str, Any], settings: Settings) -> None:
    settings.CACHES = caches

    assert ids(check_declarations()) == ["readcache.E008"]


def test_an_alias_that_waits_for_ever_is_warned_of(settings: Settings) -> None:
    settings.CACHES = {
        "read": {
            "BACKEND": "django_redis.cache.RedisCache",
            # One of its own: django-redis has one pool for each location.
            "LOCATION": "redis://127.0.0.1:1/9",
            "OPTIONS": {"CONNECTION_POOL_KWARGS": {"socket_timeout": None}},
        }
    }

    assert ids(check_declarations()) == ["readcache.W001"]


def test_a_read_cache_that_nothing_watches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_created, "receivers", [])

    with pytest.raises(ImproperlyConfigured, match='Add "readcache" to INSTALLED_APPS'):
        view_class().as_view()


def test_a_project_without_a_read_cache_needs_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declarations, "_declared", [])
    settings.CACHES = {"default": settings.CACHES["default"]}

    assert check_declarations() == []
