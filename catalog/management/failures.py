"""What known failures of the database and of Redis are told as: one line, with what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing

import redis.exceptions
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connections
from redis.backoff import NoBackoff
from redis.retry import Retry

from readcache.testing import PrivateRedisError
from shop.environment import mask_password

# A piece of the server's message in lower case, and what to do.
DATABASE_REMEDIES = (
    ("no such table", "Make the tables with: python manage.py migrate"),
    ("no such column", "Bring the tables up to date with: python manage.py migrate"),
    ("database is locked", "Another program is writing to it. Run the command again when that has ended."),
    ("unique constraint", "Another program wrote the same rows meanwhile. Run the command again."),
    ("deadlock detected", "Another program wrote the same rows meanwhile. Run the command again."),
    ("password", "Check the user and the password in DATABASE_URL."),
    ('role "', "Check the user in DATABASE_URL."),
    ('database "', "Check the database's name in DATABASE_URL, or make it with: createdb"),
    ("resolve host", "Check the host in DATABASE_URL."),
    ("translate host", "Check the host in DATABASE_URL."),
    (
        "connection refused",
        "Start it with: docker compose up -d postgres, or unset DATABASE_URL to use SQLite.",
    ),
    (
        "unable to open",
        "The file in DATABASE_URL must be in a folder that you may write to.",
    ),
    ("readonly", "The file in DATABASE_URL, and its folder, must be writable for you."),
    ("disk is full", "Make room on its disk."),
)
DATABASE_REMEDY = "Check DATABASE_URL."
REDIS_REMEDIES = (
    ("db index", "Set {name} to a database that it has."),
    ("maxmemory", "Give it more memory, or set its maxmemory-policy to allkeys-lru."),
    ("read only replica", "Set {name} to the server that it copies."),
    ("no permissions", "Let the user in {name} run this command."),
)
REDIS_REMEDY = "Check {name}."
# What is used where the variable is not set.
INSTEAD_OF = {"REDIS_URL": "the private one", "READ_REDIS_URL": "the next database of REDIS_URL"}
ASKING_SECONDS = 1.0


def explain(error: BaseException, *, database: str | None = None) -> str | None:
    """One line for a failure of the database or of Redis; ``None`` for any other.

    ``database`` is the alias of the one that was used.
    """
    for cause in _causes(error):
        if isinstance(cause, PrivateRedisError):
            return str(cause)
    if isinstance(error, redis.exceptions.RedisError):
        return _explain_redis(error)
    if isinstance(error, DatabaseFailure):
        return _explain_database(error, database or "default")
    return None


def _explain_database(error: DatabaseFailure, alias: str) -> str:
    reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    lowered = reason.lower()
    if "no such table" in lowered or ("relation" in lowered and "does not exist" in lowered):
        return f"The database has no catalogue yet ({reason}). Make it with: python manage.py migrate"
    remedy = next((remedy for piece, remedy in DATABASE_REMEDIES if piece in lowered), DATABASE_REMEDY)
    return f"The database at {describe_database(alias)} failed: {reason}. {remedy}"


def describe_database(alias: str) -> str:
    configured = connections[alias].settings_dict
    host = f"{configured['HOST']}:{configured['PORT'] or 'default port'}/" if configured["HOST"] else ""
    return f"{host}{configured['NAME']}"


def _explain_redis(error: redis.exceptions.RedisError) -> str:
    name = _variable_of(error)
    url = getattr(settings, name)
    shown = mask_password(url)
    if isinstance(error, redis.exceptions.AuthenticationError):
        return (
            f"Redis at {shown} refused: {str(error).rstrip('.')}. Check the user and the password in {name}."
        )
    if not isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        lowered = str(error).lower()
        remedy = next((remedy for piece, remedy in REDIS_REMEDIES if piece in lowered), REDIS_REMEDY)
        return f"Redis at {shown} refused: {str(error).rstrip('.')}. {remedy.format(name=name)}"
    if settings.USES_PRIVATE_REDIS:
        return (
            f"The private Redis at {shown} does not answer. End it with: python manage.py private_redis stop"
        )
    return f"Cannot reach Redis at {shown}. {_redis_remedy(error, name, url)}"


def _redis_remedy(error: redis.exceptions.RedisError, name: str, url: str) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return f"Its certificate is not trusted. Name who signed it: ?ssl_ca_certs=FILE in {name}."
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"It does not speak TLS as asked. If it speaks none, {name} must begin with redis://."
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"No such host is known: check the name in {name}."
    if url.startswith("redis://") and ("closed" in str(error).lower() or "reset" in str(error).lower()):
        return f"It closed the connection. If it speaks TLS, {name} must begin with rediss://."
    if isinstance(error, redis.exceptions.TimeoutError):
        # A Redis without TLS waits for the rest of what it takes for a command.
        tls = " If it speaks no TLS, it must begin with redis://." if url.startswith("rediss://") else ""
        return f"It does not answer. Check the host and the port in {name}, or restart it.{tls}"
    return f"Start it with: docker compose up -d redis, or unset {name} to use {INSTEAD_OF[name]}."


def _variable_of(error: redis.exceptions.RedisError) -> str:
    """The variable that leads to the server that failed.

    An error of redis-py seldom says whose it is, so both servers are asked: it is the one that fails
    in the same words. Takes a few seconds at most, where they hang.
    """
    if settings.USES_PRIVATE_REDIS:
        return "REDIS_URL"
    failures = {name: failure for name in INSTEAD_OF if (failure := _failure_of(getattr(settings, name)))}
    same = [name for name, failure in failures.items() if failure == str(error)]
    return [*same, *failures, "REDIS_URL"][0]


def _failure_of(url: str) -> str:
    """What redis-py says where the server is asked now; ``""`` for one that answers."""
    options = {"socket_timeout": ASKING_SECONDS, "socket_connect_timeout": ASKING_SECONDS}
    try:
        with closing(redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)) as client:
            client.ping()
    except redis.exceptions.RedisError as error:
        return str(error)
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it. django-redis raises a cause within its own handler: a circle."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
