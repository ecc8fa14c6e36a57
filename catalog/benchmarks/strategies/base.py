"""What a way of serving the catalogue says of itself, so that every experiment can measure it.

``docs/strategies.md`` shows how to write one of your own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any

from django.urls import URLPattern, URLResolver


class Strategy:
    """One way of serving. Derive from it; ``--strategy my.module:MyStrategy`` measures the class.

    ``name`` is lower-case letters, digits, ``-`` and ``_``. ``caches`` says whether a repeat request
    may be answered without a query, and so must be. ``views`` is whatever has the four views of
    ``catalog.views`` under their names, derived from them; without it, ``url_prefix`` names the URLs
    that serve it. ``requires`` are distributions that pip can install.
    """

    name: str
    caches: bool = True
    requires: Sequence[str] = ()
    views: Any = None
    # For what changes Django itself: it is measured in a process of its own, where nothing of it can
    # be any other strategy's cost.
    own_process: bool = False
    # What that process's settings have different, as JSON can say it. ``CACHES`` holds aliases to
    # add, each as far as it differs from ``default``.
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def url_prefix(self) -> str:
        return f"/strategies/{self.name}"

    def url(self, path: str) -> str:
        return f"{self.url_prefix}{path}"

    def urls(self) -> list[URLPattern | URLResolver]:
        """What stands below ``url_prefix``; empty where something else serves it."""
        if self.views is None:
            return []
        # catalog.urls imports every view of the shop, and a strategy is known before they are needed.
        from catalog.urls import endpoints

        return [*endpoints(self.views, read_cache=None)]

    def invalidation(self) -> AbstractContextManager[None]:
        """Its receivers are connected inside. Nothing to do for what ``AppConfig.ready()`` connects."""
        return nullcontext()

    def without_invalidation(self) -> AbstractContextManager[None]:
        """What ``AppConfig.ready()`` connected of it is silent inside."""
        return nullcontext()

    @property
    def reference(self) -> str:
        """What another process finds it by: ``my.module:MyStrategy``."""
        return f"{type(self).__module__}:{type(self).__qualname__}"
