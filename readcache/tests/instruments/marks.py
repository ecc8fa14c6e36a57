"""The marks of tags, which the first fill of a history leaves too."""

from __future__ import annotations

from typing import Any


def end_marks(redis: Any) -> None:
    """As when the longest write is over: the marks' deadlines are past, and the next tokens are immortal."""
    for key in redis.scan_iter("*:rc1:marks:*"):
        redis.zremrangebyscore(key, 0, 1e15)
    for key in redis.scan_iter("*:rc1:token:*"):
        redis.delete(key)
