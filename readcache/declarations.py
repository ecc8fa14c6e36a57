"""The declaration of a cached view, and all declarations of this process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, cached_property

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

PREFIX_RULE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# Ten years. Redis refuses a time to live that it cannot count in milliseconds.
LONGEST_TIMEOUT_SECONDS = 10 * 366 * 24 * 60 * 60
# An entry counts its tokens in one byte.
MOST_TAGS = 255


class ReadCache:
    """Declares that the reads of a view are cached. Anyone may read such a view: a hit is served before
    authentication, permissions and throttles.

    The keys of the view's entries begin with ``prefix``, which no other view may use. ``depends_on`` names
    every model whose table the view reads, with the through models of many-to-many fields. An entry is
    dropped after ``timeout`` seconds; freshness does not depend on it. ``parameters`` names the query
    parameters that the view itself reads, besides those of its filters, pagination, search and ordering.
    Raises ``ImproperlyConfigured`` for a bad value.
    """

    def __init__(
        self,
        prefix: str,
        *,
        depends_on: Sequence[type[Model]],
        timeout: float,
        parameters: Sequence[str] = (),
    ) -> None:
        if not PREFIX_RULE.fullmatch(prefix):
            raise ImproperlyConfigured(
                f"A ReadCache's prefix must be 1 to 64 letters, digits, '_', '-' and '.', got {prefix!r}."
            )
        if not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST_TIMEOUT_SECONDS:
            raise ImproperlyConfigured(
                f"A ReadCache's timeout must be more than 0 seconds and at most "
                f"{LONGEST_TIMEOUT_SECONDS:,}, got {timeout!r}."
            )
        if not 0 < len(depends_on) <= MOST_TAGS:
            raise ImproperlyConfigured(
                f"ReadCache {prefix!r} must depend on at least one model and at most {MOST_TAGS}, "
                f"got {len(depends_on)}."
            )
        self.prefix = prefix
        self.depends_on = tuple(depends_on)
        self.timeout_seconds = timeout
        self.parameters = tuple(parameters)
        _declared.append(self)
        declared_tags.cache_clear()

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The names of the tables, sorted. An entry keeps its tokens in this order."""
        return tuple(sorted({model._meta.db_table for model in self.depends_on}))


_declared: list[ReadCache] = []


def declarations() -> tuple[ReadCache, ...]:
    """All declarations so far, in the order of their creation."""
    return tuple(_declared)


@cache
def declared_tags() -> frozenset[str]:
    """The tables that some view depends on. Each statement that writes asks for them."""
    return frozenset(tag for declaration in _declared for tag in declaration.tags)
