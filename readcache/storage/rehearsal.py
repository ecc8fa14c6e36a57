"""Every command that the engine sends, on keys that nothing else uses.

It shows that Redis allows each command before a write relies on it.
"""

from __future__ import annotations

from readcache.storage.replies import Command
from readcache.storage.scripts import BEGIN_FILL, GUARD, ROTATE, UNMARK


def rehearsal(prefix: str, *, lease_ms: int) -> tuple[Command, ...]:
    """The keys of the commands begin with the prefix."""
    entry, lock, registry, token, marks = (
        f"{prefix}:{name}" for name in ("entry", "lock", "registry", "token", "marks")
    )
    keys = (entry, lock, registry, token, marks)
    fill = (lease_ms, lease_ms, "lock", lease_ms, "mark", 0, "token", "tag")
    return (
        ("DEL", *keys),
        ("MGET", *keys),
        ("SET", entry, "", "PX", lease_ms),
        ("GET", entry),
        ("EXISTS", entry),
        ("TYPE", entry),
        ("PTTL", entry),
        ("PEXPIRE", entry, lease_ms),
        ("ZADD", marks, 1, "m:mark"),
        ("ZSCORE", marks, "m:mark"),
        ("ZCARD", marks),
        ("ZRANGE", marks, 0, -1),
        ("ZREM", marks, "m:mark"),
        ("ZREMRANGEBYSCORE", marks, "-inf", "(1"),
        ("TIME",),
        ("INFO", "replication"),
        ("EVAL", BEGIN_FILL.text, len(keys), *keys, *fill),
        ("EVAL", GUARD.text, 2, token, marks, lease_ms, lease_ms, "mark"),
        ("EVAL", ROTATE.text, 2, token, marks, lease_ms, 1, "token", "mark"),
        ("EVAL", UNMARK.text, 1, marks, "mark"),
        ("EVALSHA", ROTATE.sha, 2, token, marks, lease_ms, 1, "token", "mark"),
        ("DEL", *keys),
    )
