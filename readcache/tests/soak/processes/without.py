"""Takes one rule out of the engine of this process, to show that a soak finds what the rule prevents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from instruments.changed_scripts import changed_script, modules_with
from readcache.storage import entries, store


def take_out(rule: str) -> None:
    """``rule`` is a key of ``RULES``; nothing is taken out if it is empty."""
    if rule:
        RULES[rule]()


def _history() -> None:
    """Nobody notices that Redis was restarted from an old snapshot."""
    entry: Any = entries.Entry
    entry.is_live = _is_live_in_any_history
    asks = "return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or 'none'"
    for name in ("BEGIN_FILL", "ROTATE"):
        _replace(name, asks, "return string.rep('0', 40)")


def _is_live_in_any_history(entry: entries.Entry, tokens: Sequence[bytes | None], history: bytes) -> bool:
    return None not in tokens and entry.tokens == b"".join(token or b"" for token in tokens)


def _guard() -> None:
    """Nothing limits the life of tokens before a COMMIT."""
    engine: Any = store.Store
    engine.guard = _nothing


def _shortens() -> None:
    """A guard gives a token a new life of one lease, also if it was dying already."""
    _replace(
        "GUARD",
        "if left == -1 or left > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end",
        "redis.call('PEXPIRE', KEYS[i], ARGV[1])",
    )


def _marks() -> None:
    """A guard leaves no mark, so a token that is made after it is immortal."""
    _replace("GUARD", "redis.call('ZADD', KEYS[i + 1], now + ARGV[2], 'm:' .. ARGV[3])", "")


def _replace(name: str, old: str, new: str) -> None:
    """In a script of Redis, wherever the engine has imported it."""
    changed = changed_script(name, (old, new))
    for module in modules_with(name):
        setattr(module, name, changed)


def _nothing(*arguments: Any) -> None:
    pass


RULES: dict[str, Callable[[], None]] = {
    "history": _history,
    "guard": _guard,
    "shortens": _shortens,
    "marks": _marks,
}
