"""What Redis replies to each of the engine's commands.

Anything else is the reply to another command, or comes from a program that is not Redis: the connection
is out of step, and nothing that it says can be believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from redis.exceptions import InvalidResponse, ReadOnlyError

from readcache.storage.entries import HISTORY_BYTES
from readcache.storage.scripts import BEGIN_FILL

Command = tuple[str | bytes | int, ...]

REPLICATION_ID = re.compile(rb"[0-9a-f]{40}")
REPLICATION_ID_LINE = re.compile(rb"^master_replid:([0-9a-f]{40})\r?$", re.MULTILINE)
MEMORY_LIMIT_LINE = re.compile(rb"^maxmemory:(\d+)\r?$", re.MULTILINE)
EVICTION_POLICY_LINE = re.compile(rb"^maxmemory_policy:([a-z-]+)\r?$", re.MULTILINE)
MASTER_LINE = re.compile(rb"^role:master\r?$", re.MULTILINE)

_TYPES_OF_VALUES = frozenset((bytes, type(None)))


class Memory(NamedTuple):
    """What Redis may use. A ``limit_bytes`` of 0 is no limit, and then the ``policy`` evicts nothing."""

    limit_bytes: int
    policy: str


def checked(command: Command, reply: Any) -> Any:
    """The reply. Raises ``InvalidResponse`` if Redis never replies so to this command."""
    is_reply = _IS_REPLY.get(command[0])
    if is_reply is not None and not is_reply(command, reply):
        raise InvalidResponse(f"{command[0]!s} was answered with {reply!r:.100}.")
    return reply


def history_in(information: bytes) -> bytes:
    """The history that ``INFO replication`` names. Raises redis-py's errors."""
    found = REPLICATION_ID_LINE.search(information)
    if found is None:
        raise InvalidResponse("INFO replication names no master_replid.")
    if not MASTER_LINE.search(information):
        raise ReadOnlyError("The server is a replica. The read cache needs the master.")
    return history_of(found[1])


def history_of(replication_id: bytes) -> bytes:
    """The history by which entries are compared, for a replication id of 40 hexadecimal digits."""
    return bytes.fromhex(replication_id.decode())[:HISTORY_BYTES]


def memory_in(information: bytes) -> Memory:
    """The limit and the policy that ``INFO memory`` names. Raises ``InvalidResponse``."""
    limit, policy = MEMORY_LIMIT_LINE.search(information), EVICTION_POLICY_LINE.search(information)
    if limit is None or policy is None:
        raise InvalidResponse("INFO memory names no maxmemory or no maxmemory_policy.")
    return Memory(limit_bytes=int(limit[1]), policy=policy[1].decode())


def _is_integer(command: Command, reply: Any) -> bool:
    return type(reply) is int


def _is_done_or_not(command: Command, reply: Any) -> bool:
    return type(reply) is int and reply in (0, 1)


def _is_text(command: Command, reply: Any) -> bool:
    return type(reply) is bytes


def _is_ok(command: Command, reply: Any) -> bool:
    return bool(reply == b"OK")


def _is_value_of_each_key(command: Command, reply: Any) -> bool:
    return _are_values(reply, count=len(command) - 1)


def _is_reply_of_script(command: Command, reply: Any) -> bool:
    """Begin-fill replies with the replication id, 0 or 1, and values; every other script with 0 or 1."""
    _, script, number_of_keys, *_ = command
    if script not in BEGIN_FILL:
        return _is_done_or_not(command, reply)
    # Of an entry, a lock, the registry, and two keys for each tag, the registry and the marks are not in
    # the reply.
    count = (int(number_of_keys) + 1) // 2
    return (
        type(reply) is list
        and len(reply) == 3
        and type(reply[0]) is bytes
        and REPLICATION_ID.fullmatch(reply[0]) is not None
        and _is_done_or_not(command, reply[1])
        and _are_values(reply[2], count=count)
    )


def _are_members(command: Command, reply: Any) -> bool:
    return type(reply) is list and all(type(member) is bytes for member in reply)


def _are_values(reply: Any, *, count: int) -> bool:
    return type(reply) is list and len(reply) == count and _TYPES_OF_VALUES.issuperset(map(type, reply))


_IS_REPLY: dict[str | bytes | int, Callable[[Command, Any], bool]] = {
    "MGET": _is_value_of_each_key,
    "ZRANGE": _are_members,
    "SET": _is_ok,
    "DEL": _is_integer,
    "PEXPIRE": _is_done_or_not,
    "INFO": _is_text,
    "EVAL": _is_reply_of_script,
    "EVALSHA": _is_reply_of_script,
}
