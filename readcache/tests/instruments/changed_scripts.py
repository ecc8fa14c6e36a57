"""Changes the text of one of the engine's scripts, so that a rule is missing from it."""

from __future__ import annotations

from hashlib import sha1
from types import ModuleType

from readcache.storage import rehearsal, replies, scripts, store
from readcache.storage.scripts import Script


def changed_script(name: str, *changes: tuple[str, str]) -> Script:
    """Each change is a part of the text and its replacement. Raises ``ValueError`` for a part not in it."""
    text = getattr(scripts, name).text
    for old, new in changes:
        if old not in text:
            raise ValueError(f"{name} has no {old!r}.")
        text = text.replace(old, new)
    return Script(text, sha1(text.encode()).hexdigest())


def modules_with(name: str) -> list[ModuleType]:
    """The modules of the engine that have imported this script."""
    return [module for module in (rehearsal, replies, store) if hasattr(module, name)]
