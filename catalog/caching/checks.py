"""``manage.py check``: declarations that are wrong are found before the first request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core import checks
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework import permissions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from catalog.caching.declarations import declarations

# Permissions that let anyone read.
OPEN_PERMISSIONS = (
    permissions.AllowAny,
    permissions.IsAuthenticatedOrReadOnly,
    permissions.DjangoModelPermissionsOrAnonReadOnly,
)


def check_declarations(**kwargs: Any) -> list[checks.CheckMessage]:
    return [*_unknown_models(), *_shared_prefixes()]


def check_views(**kwargs: Any) -> list[checks.CheckMessage]:
    """Look at every view with a read cache that a URL leads to."""
    found: list[checks.CheckMessage] = []
    for plan in dict.fromkeys(_plans(get_resolver().url_patterns)):
        view = plan.view
        found += _guards(view)
        if not any(isinstance(renderer, JSONRenderer) for renderer in view.get_renderers()):
            found.append(
                checks.Error(
                    f"{_name(view)} has a read cache and no JSON renderer.",
                    hint="Add JSONRenderer to its renderer_classes: JSON is what is cached.",
                    obj=type(view),
                    id="catalog.E004",
                )
            )
    return found


def _guards(view: Any) -> Iterator[checks.CheckMessage]:
    view.request = Request(HttpRequest())
    view.request.method = view.request._request.method = "GET"
    closed = [each for each in view.get_permissions() if type(each) not in OPEN_PERMISSIONS]
    for guard in [*closed, *view.get_throttles()]:
        yield checks.Error(
            f"{_name(view)} has a read cache, and {type(guard).__name__} guards its reads.",
            hint="A hit is answered before permissions and throttles. Let anyone read it, or cache nothing.",
            obj=type(view),
            id="catalog.E001",
        )


def _unknown_models() -> Iterator[checks.CheckMessage]:
    known = set(apps.get_models(include_auto_created=True))
    for declaration in declarations():
        for model in declaration.depends_on:
            if model not in known:
                yield checks.Error(
                    f"The read cache {declaration.prefix!r} depends on {model!r}, which is no model "
                    "of an installed app.",
                    hint="Add its app to INSTALLED_APPS, or depend on the model whose table is read.",
                    id="catalog.E002",
                )


def _shared_prefixes() -> Iterator[checks.CheckMessage]:
    by_prefix = defaultdict(list)
    for declaration in declarations():
        by_prefix[declaration.prefix].append(declaration)
    for prefix, sharing in by_prefix.items():
        if len(sharing) > 1:
            yield checks.Error(
                f"{len(sharing)} views have a read cache with the prefix {prefix!r}.",
                hint="Give each its own: the prefix tells their entries apart.",
                id="catalog.E003",
            )


def _plans(patterns: list[URLPattern | URLResolver]) -> Iterator[Any]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _plans(pattern.url_patterns)
        elif plan := getattr(pattern.callback, "read_cache_plan", None):
            yield plan


def _name(view: Any) -> str:
    return f"{type(view).__module__}.{type(view).__qualname__}"
