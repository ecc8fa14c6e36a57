"""``manage.py check`` finds a declaration or a view with which the engine would answer wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import models, transaction
from django.db.backends.signals import connection_created
from django.urls import path
from django.utils.decorators import method_decorator
from pytest_django import Settings
from rest_framework import permissions, renderers, throttling, versioning, viewsets
from rest_framework.response import Response
from rest_framework.views import APIView

from library.models import Book
from readcache import declarations
from readcache.checks import SKIPPED_BY_HITS, check_declarations, check_views
from readcache.declarations import ReadCache
from readcache.serving.mixin import CachedReadMixin

urlpatterns: list[Any] = []


pytestmark = pytest.mark.usefixtures("temporary_declarations")
VIEW = f"{__name__}.View"


@pytest.fixture
def urls(settings: Any) -> Iterator[list[Any]]:
    """The URLs of this module, which replace those of the library."""
    settings.ROOT_URLCONF = __name__
    yield urlpatterns
    urlpatterns.clear()


def view_class(**attributes: Any) -> type[APIView]:
    class View(CachedReadMixin):
        permission_classes = (permissions.AllowAny,)
        read_cache = ReadCache("checked", depends_on=[Book], timeout=60)

        def get(self, request: Any) -> Response:
            return Response({})

    return type("View", (View,), {"__module__": __name__, **attributes})


def ids(messages: list[Any]) -> list[str]:
    assert all(message.hint for message in messages)
    return [str(message.id) for message in messages]


def only_message(view: type[APIView], urls: list[Any]) -> Any:
    """The one complaint about a view, which names the view."""
    urls.append(path("", view.as_view()))
    [message] = check_views()
    assert message.msg.startswith(f"{VIEW} has a read cache")
    assert message.obj is view
    assert message.hint
    return message


# The checks in ``manage.py check``


def test_the_library_passes() -> None:
    call_command("check", fail_level="WARNING")


def test_the_command_runs_the_check_of_views(urls: list[Any]) -> None:
    urls.append(path("", view_class(permission_classes=[permissions.IsAuthenticated]).as_view()))

    for tags in (None, ["urls"]):
        with pytest.raises(SystemCheckError, match=r"readcache\.E001"):
            call_command("check", tags=tags)


def test_the_command_runs_the_check_of_declarations() -> None:
    ReadCache("book_list", depends_on=[Book], timeout=60)

    for tags in (None, ["caches"]):
        with pytest.raises(SystemCheckError, match=r"readcache\.E003"):
            call_command("check", tags=tags)


# Views


@pytest.mark.parametrize("permission", [permissions.AllowAny, permissions.IsAuthenticatedOrReadOnly])
def test_a_view_that_anyone_may_read_passes(permission: type[Any], urls: list[Any]) -> None:
    urls.append(path("", view_class(permission_classes=[permission]).as_view()))

    assert check_views() == []


@pytest.mark.parametrize(
    ("attributes", "guard"),
    [
        ({"permission_classes": [permissions.IsAuthenticated]}, "IsAuthenticated"),
        ({"permission_classes": [permissions.AllowAny, permissions.IsAdminUser]}, "IsAdminUser"),
        ({"throttle_classes": [throttling.AnonRateThrottle]}, "AnonRateThrottle"),
        ({"get_permissions": lambda self: [permissions.IsAdminUser()]}, "IsAdminUser"),
    ],
)
def test_a_view_with_a_permission_or_a_throttle_is_refused(
    attributes: dict[str, Any], guard: str, urls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttling.AnonRateThrottle, "rate", "1/day", raising=False)

    message = only_message(view_class(**attributes), urls)

    assert message.id == "readcache.E001"
    assert guard in message.msg


def test_a_view_without_its_cache_may_have_any_permission(urls: list[Any]) -> None:
    view = view_class(permission_classes=[permissions.IsAdminUser])
    urls.append(path("", view.as_view(read_cache=None)))

    assert check_views() == []


def test_a_view_without_a_json_renderer_is_refused(urls: list[Any]) -> None:
    view = view_class(renderer_classes=[renderers.StaticHTMLRenderer])

    assert only_message(view, urls).id == "readcache.E004"


@pytest.mark.parametrize("name", SKIPPED_BY_HITS)
def test_a_view_that_overrides_a_method_which_hits_skip_is_refused(name: str, urls: list[Any]) -> None:
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(type(self), self), name)(*args, **kwargs)

    message = only_message(view_class(**{name: wrapped}), urls)

    assert message.id == "readcache.E005"
    assert f"View.{name}()" in message.msg


def test_a_view_may_be_exempt_from_atomic_requests(urls: list[Any]) -> None:
    exempt = method_decorator(transaction.non_atomic_requests, name="dispatch")
    urls.append(path("exempt/", exempt(view_class()).as_view()))

    assert check_views() == []


class HeaderVersioning(versioning.BaseVersioning):
    pass


@pytest.mark.parametrize(
    "versioning_class",
    [
        versioning.URLPathVersioning,
        versioning.QueryParameterVersioning,
        versioning.AcceptHeaderVersioning,
        versioning.NamespaceVersioning,
        versioning.HostNameVersioning,
    ],
)
def test_every_versioning_of_the_framework_passes(versioning_class: type[Any], urls: list[Any]) -> None:
    urls.append(path("versioned/", view_class(versioning_class=versioning_class).as_view()))

    assert check_views() == []


def test_a_versioning_that_is_not_the_frameworks_is_refused(urls: list[Any]) -> None:
    message = only_message(view_class(versioning_class=HeaderVersioning), urls)

    assert message.id == "readcache.E006"
    assert "HeaderVersioning" in message.msg


def test_get_permissions_may_look_at_the_action_and_the_request(urls: list[Any]) -> None:
    class Books(CachedReadMixin, viewsets.ReadOnlyModelViewSet[Book]):
        read_cache = ReadCache("checked", depends_on=[Book], timeout=60)
        queryset = Book.objects.all()

        def get_permissions(self) -> list[Any]:
            is_open = self.action in ("list", "retrieve") and self.request.query_params is not None
            return [permissions.AllowAny() if is_open else permissions.IsAdminUser()]

    urls.append(path("books/", Books.as_view({"get": "list"})))

    assert check_views() == []


# Declarations and settings


def test_a_model_of_no_installed_app_is_refused() -> None:
    class Stranger(models.Model):
        class Meta:
            abstract = True

    ReadCache("strange", depends_on=[Book, Stranger], timeout=60)

    [message] = check_declarations()
    assert ids([message]) == ["readcache.E002"]
    assert "'strange'" in message.msg


def test_two_views_with_one_prefix_are_refused() -> None:
    ReadCache("twice", depends_on=[Book], timeout=60)
    ReadCache("twice", depends_on=[Book], timeout=60)

    messages = check_declarations()

    assert ids(messages) == ["readcache.E003"]
    assert "'twice'" in messages[0].msg


@pytest.mark.parametrize("seconds", [0, -1, "soon", None, float("nan"), float("inf"), 10**6])
def test_a_lease_must_be_a_number_of_seconds_above_zero(seconds: Any, settings: Settings) -> None:
    settings.READ_CACHE_LEASE_SECONDS = seconds

    assert ids(check_declarations()) == ["readcache.E007"]


@pytest.mark.parametrize(
    ("seconds", "is_right"), [(0, True), (5, True), ("2.5", True), (-1, False), ("", False)]
)
def test_a_wait_must_be_a_number_of_seconds_from_zero(
    seconds: Any, is_right: bool, settings: Settings
) -> None:
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
def test_an_alias_that_is_not_a_django_redis_cache_is_refused(
    caches: dict[str, Any], settings: Settings
) -> None:
    settings.CACHES = caches

    assert ids(check_declarations()) == ["readcache.E008"]


def test_a_view_with_a_read_cache_needs_the_installed_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_created, "receivers", [])

    with pytest.raises(ImproperlyConfigured, match='Add "readcache" to INSTALLED_APPS'):
        view_class().as_view()


def test_a_project_without_a_declaration_needs_no_alias(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declarations, "_declared", [])
    settings.CACHES = {"default": settings.CACHES["default"]}

    assert check_declarations() == []
