"""System checks: ``manage.py check`` finds wrong declarations and settings before the first request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver
from redis.exceptions import RedisError
from rest_framework import permissions
from rest_framework.renderers import JSONRenderer
from rest_framework.versioning import (
    AcceptHeaderVersioning,
    HostNameVersioning,
    NamespaceVersioning,
    QueryParameterVersioning,
    URLPathVersioning,
)

from readcache.conf import SETTINGS, configuration
from readcache.declarations import ReadCache, declarations
from readcache.invalidation.database_views import views_of
from readcache.invalidation.statements import vocabulary
from readcache.storage.current import store

# Permissions that let anyone read.
OPEN_PERMISSIONS = (
    permissions.AllowAny,
    permissions.IsAuthenticatedOrReadOnly,
    permissions.DjangoModelPermissionsOrAnonReadOnly,
)
# Methods that Django REST framework calls before the handler. A hit skips them.
SKIPPED_BY_HITS = (
    "dispatch",
    "initialize_request",
    "initial",
    "perform_authentication",
    "check_permissions",
    "check_throttles",
)
KNOWN_VERSIONS = (
    AcceptHeaderVersioning,
    HostNameVersioning,
    NamespaceVersioning,
    QueryParameterVersioning,
    URLPathVersioning,
)

NOEVICTION = "When it is full, it stores nothing more, and made-up search terms can fill it."
ALLKEYS = (
    "It may evict what protects a write in progress, and a writer that is killed then leaves stale entries."
)


def check_declarations(**kwargs: Any) -> list[checks.CheckMessage]:
    _import_views()
    if not declarations():
        return []
    return [*_settings(), *_unknown_models(), *_shared_prefixes()]


def check_server(**kwargs: Any) -> list[checks.CheckMessage]:
    """Connect to Redis, as ``check --deploy`` may: do the rights and the eviction policy suffice?"""
    if not declarations() or check_declarations():
        return []
    try:
        memory = store().memory()
    except (RedisError, OSError) as error:
        return [
            checks.Warning(
                f"The read cache cannot use its Redis: {error}",
                hint="Without it every request is answered from the database. If a command was refused, "
                "grant it to the Redis user.",
                id="readcache.W001",
            )
        ]
    if not memory.limit_bytes or memory.policy.startswith("volatile-"):
        return []
    effect = NOEVICTION if memory.policy == "noeviction" else ALLKEYS
    return [
        checks.Warning(
            f"The Redis of the read cache has the maxmemory-policy {memory.policy}. {effect}",
            hint="Set maxmemory-policy to volatile-lru.",
            id="readcache.W002",
        )
    ]


def check_database_views(databases: Sequence[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Ask the databases, as ``check --database`` may: which declared tables are views?"""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        connections[alias].ensure_connection()
        views, known = views_of(connections[alias]), vocabulary()
        for declaration in declarations():
            for model in declaration.depends_on:
                table = model._meta.db_table
                beneath = views.tables_beneath(frozenset({table}), known) - {*declaration.tags}
                if beneath:
                    found.append(_view_warning(declaration, model, beneath))
    return found


def _view_warning(declaration: ReadCache, model: type[Model], beneath: frozenset[str]) -> checks.CheckMessage:
    names = ", ".join(sorted(beneath))
    return checks.Warning(
        f"The read cache {declaration.prefix!r} depends on {model.__name__}, which is a view of the "
        f"database, and not on what is beneath it: {names}.",
        hint="Add the models of these tables to depends_on. Without them, no response is stored.",
        obj=model,
        id="readcache.W003",
    )


def check_views(**kwargs: Any) -> list[checks.CheckMessage]:
    """Check every view with a read cache that has a URL."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    found: list[checks.CheckMessage] = []
    for fast_path in dict.fromkeys(_fast_paths(get_resolver().url_patterns)):
        view = fast_path.view
        found += [*_guards(view), *_versions(view)]
        if not any(isinstance(renderer, JSONRenderer) for renderer in view.get_renderers()):
            found.append(
                checks.Error(
                    f"{_name(view)} has a read cache but no JSON renderer.",
                    hint="Add JSONRenderer to its renderer_classes: entries hold JSON.",
                    obj=type(view),
                    id="readcache.E004",
                )
            )
    return found


def _import_views() -> None:
    """Django's own checks report a URLconf that cannot be imported."""
    with suppress(Exception):
        import_module(settings.ROOT_URLCONF)


def _guards(view: Any) -> Iterator[checks.CheckMessage]:
    closed = [each for each in view.get_permissions() if type(each) not in OPEN_PERMISSIONS]
    for guard in [*closed, *view.get_throttles()]:
        yield checks.Error(
            f"{_name(view)} has a read cache, but {type(guard).__name__} restricts its reads.",
            hint="Hits skip permissions and throttles. Let anyone read the view, or set read_cache = None.",
            obj=type(view),
            id="readcache.E001",
        )
    for name in SKIPPED_BY_HITS:
        owner = next(each for each in type(view).__mro__ if name in vars(each))
        # transaction.non_atomic_requests only sets an attribute, and does nothing before the call.
        is_harmless = hasattr(vars(owner)[name], "_non_atomic_requests")
        if not is_harmless and not owner.__module__.startswith(("rest_framework.", f"{__package__}.")):
            yield checks.Error(
                f"{_name(view)} has a read cache, but hits skip {owner.__name__}.{name}().",
                hint="Wrap as_view() instead, or set read_cache = None.",
                obj=type(view),
                id="readcache.E005",
            )


def _versions(view: Any) -> Iterator[checks.CheckMessage]:
    versioning = view.versioning_class
    if versioning is not None and not issubclass(versioning, KNOWN_VERSIONS):
        yield checks.Error(
            f"{_name(view)} has a read cache, but the part of a request that {versioning.__name__} reads "
            "is unknown.",
            hint="Derive it from a versioning class of Django REST framework, or set read_cache = None.",
            obj=type(view),
            id="readcache.E006",
        )


def _settings() -> Iterator[checks.CheckMessage]:
    bad = [setting for setting in SETTINGS if setting.problem]
    for setting in bad:
        yield checks.Error(setting.problem, hint=setting.remedy, id="readcache.E007")
    if not bad:
        yield from _cache_alias(configuration().alias)


def _cache_alias(alias: str) -> Iterator[checks.CheckMessage]:
    try:
        store()
    except (ImproperlyConfigured, ImportError, AttributeError, TypeError, ValueError) as error:
        yield checks.Error(
            f"The read cache cannot use CACHES[{alias!r}]: {error}",
            hint=f"Give CACHES an entry {alias!r} with the BACKEND django_redis.cache.RedisCache, "
            "or name another entry in READ_CACHE_ALIAS.",
            id="readcache.E008",
        )


def _unknown_models() -> Iterator[checks.CheckMessage]:
    known = set(apps.get_models(include_auto_created=True))
    for declaration in declarations():
        for model in declaration.depends_on:
            if model not in known:
                yield checks.Error(
                    f"The read cache {declaration.prefix!r} depends on {model!r}, which is not a model "
                    "of an installed app.",
                    hint="Add its app to INSTALLED_APPS, or name the model whose table the view reads.",
                    id="readcache.E002",
                )


def _shared_prefixes() -> Iterator[checks.CheckMessage]:
    by_prefix = defaultdict(list)
    for declaration in declarations():
        by_prefix[declaration.prefix].append(declaration)
    for prefix, sharing in by_prefix.items():
        if len(sharing) > 1:
            yield checks.Error(
                f"{len(sharing)} views have a read cache with the prefix {prefix!r}.",
                hint="Give each view its own prefix, which the keys of its entries begin with.",
                id="readcache.E003",
            )


def _fast_paths(patterns: list[URLPattern | URLResolver]) -> Iterator[Any]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _fast_paths(pattern.url_patterns)
        elif fast_path := getattr(pattern.callback, "read_cache_fast_path", None):
            yield fast_path


def _name(view: Any) -> str:
    return f"{type(view).__module__}.{type(view).__qualname__}"
