from __future__ import annotations


class PrivateRedisError(ConnectionError):
    """The private Redis cannot be started, reached or stopped. The message says what to do.

    ``advice`` is added to the message: what else the users of a certain program can do. As a
    ``ConnectionError``, and so an ``OSError``, it becomes a refused connection in redis-py.
    """

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(f"{message} {advice}".rstrip())
