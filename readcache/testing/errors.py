from __future__ import annotations


class PrivateRedisError(ConnectionError):
    """The private Redis cannot be started, reached or stopped; the message says what to do.

    A ``ConnectionError``, and so an ``OSError``: redis-py reports it as a refused connection.
    """
