"""A private, real Redis for machines without one: the server that runs when REDIS_URL is not set.

It listens on a unix socket in a folder that only its owner can enter, opens no TCP port, keeps
no data on disk, and is shared by every process of the project. The first connection that finds
no server starts one; a socket left behind by a killed server counts as none. To look at it or
end it: ``manage.py private_redis``.
"""

from shop.embedded_redis.connection import PrivateRedisConnection
from shop.embedded_redis.errors import PrivateRedisError
from shop.embedded_redis.programs import CLIENT_NAMES, NO_SERVER_MESSAGE, SERVER_NAMES, find_program
from shop.embedded_redis.server import PrivateRedis

__all__ = [
    "CLIENT_NAMES",
    "NO_SERVER_MESSAGE",
    "SERVER_NAMES",
    "PrivateRedis",
    "PrivateRedisConnection",
    "PrivateRedisError",
    "find_program",
]
