from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import models
from django.urls import path
from rest_framework import permissions, renderers, throttling
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.caching import declarations
from catalog.caching.checks import check_declarations, check_views
from catalog.caching.declarations import ReadCache
from catalog.caching.views import CachedReadMixin
from catalog.models import Product

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

    assert ids(check_views()) == ["catalog.E001"]


def test_a_view_whose_cache_is_off_may_be_guarded(urls: list[Any]) -> None:
    view = view_class(permission_classes=[permissions.IsAdminUser])
    urls.append(path("", view.as_view(read_cache=None)))

    assert check_views() == []


def test_a_view_without_json_is_refused(urls: list[Any]) -> None:
    urls.append(path("", view_class(renderer_classes=[renderers.StaticHTMLRenderer]).as_view()))

    assert ids(check_views()) == ["catalog.E004"]


def test_an_unknown_model_is_refused() -> None:
    class Stranger(models.Model):
        class Meta:
            abstract = True

    ReadCache("strange", depends_on=[Product, Stranger], timeout=60)

    assert ids(check_declarations()) == ["catalog.E002"]


def test_two_views_with_one_prefix_are_refused() -> None:
    ReadCache("twice", depends_on=[Product], timeout=60)
    ReadCache("twice", depends_on=[Product], timeout=60)

    messages = check_declarations()

    assert ids(messages) == ["catalog.E003"]
    assert "'twice'" in messages[0].msg
