"""A read cache for Django REST framework whose answers are never older than an acknowledged write.

The public names are imported when they are first used (PEP 562): Django imports this package before
the models are loaded, and the view classes need Django REST framework, which may need the models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from readcache.declarations import ReadCache as ReadCache
    from readcache.invalidation.rotations import rotated as rotated
    from readcache.invalidation.watch import rotate as rotate
    from readcache.serving.mixin import CachedReadMixin as CachedReadMixin

__version__ = "0.1.0"
__all__ = ["CachedReadMixin", "ReadCache", "rotate", "rotated"]

_MODULES = {
    "CachedReadMixin": "readcache.serving.mixin",
    "ReadCache": "readcache.declarations",
    "rotate": "readcache.invalidation.watch",
    "rotated": "readcache.invalidation.rotations",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
