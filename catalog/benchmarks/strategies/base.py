"""The base class of every strategy: one way of serving the catalogue that experiments can measure.

``docs/strategies.md`` shows how to write a strategy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any

from django.urls import URLPattern, URLResolver


class Strategy:
    """One way of serving. Derive a class from it; ``--strategy my.module:MyStrategy`` measures the class.

    ``name`` consists of lower-case letters, digits, ``-`` and ``_``. With ``caches`` a repeat request
    must run no query. ``views`` has the four views of ``catalog.views`` under their names, derived
    from them; without ``views``, ``url_prefix`` names URLs that exist already. ``requires`` lists
    distributions that pip can install.
    """

    name: str
    caches: bool = True
    requires: Sequence[str] = ()
    views: Any = None
    # For a strategy that changes Django itself: in a separate process it cannot slow down the others.
    own_process: bool = False
    # The settings in which that process differs, as JSON can represent them. ``CACHES`` holds additional
    # aliases, each with only the entries in which it differs from ``default``.
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def url_prefix(self) -> str:
        return f"/strategies/{self.name}"

    def url(self, path: str) -> str:
        return f"{self.url_prefix}{path}"

    def urls(self) -> list[URLPattern | URLResolver]:
        """The URL patterns below ``url_prefix``; empty if the shop has them already."""
        if self.views is None:
            return []
        # catalog.urls imports every view of the shop, and strategies are loaded before they are needed.
        from catalog.urls import endpoints

        return [*endpoints(self.views, read_cache=None)]

    def invalidation(self) -> AbstractContextManager[None]:
        """Connects the receivers within the block. Not needed if ``AppConfig.ready()`` connects them."""
        return nullcontext()

    def without_invalidation(self) -> AbstractContextManager[None]:
        """Disconnects the receivers that ``AppConfig.ready()`` connected, within the block."""
        return nullcontext()

    @property
    def reference(self) -> str:
        """The value of ``--strategy`` that loads the class in any process: ``my.module:MyStrategy``."""
        return f"{type(self).__module__}:{type(self).__qualname__}"

    @property
    def description(self) -> str:
        """The first paragraph of the docstring of the class; empty if it has none."""
        return " ".join((type(self).__doc__ or "").split("\n\n")[0].split())
