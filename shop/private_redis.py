"""The private Redis of the shop, which runs when ``REDIS_URL`` is not set."""

from pathlib import Path

from readcache.testing import PrivateRedis

ADVICE = (
    "PRIVATE_REDIS_DIR sets its folder. To use another Redis, run docker compose up -d redis and set "
    "REDIS_URL=redis://127.0.0.1:6379/1."
)


def private_redis(directory: Path) -> PrivateRedis:
    """The server of this folder, whose errors name the shop's own remedies. Starts nothing."""
    return PrivateRedis(directory, advice=ADVICE)
