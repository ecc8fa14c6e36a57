"""Explains known failures of the database and of Redis, each in one line with a remedy."""

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

# SQLite writes to the folder of the file too.
WRITABLE_FILE = (
    "Name a file in a folder that you may write to, for example DATABASE_URL=sqlite:////tmp/shop.sqlite3."
)
# A part of the server's message in lower case, and the remedy.
DATABASE_REMEDIES = (
    ("no such column", "Bring the tables up to date with: python manage.py migrate"),
    ("database is locked", "Another program is writing to it. Run the command again when it has finished."),
    ("unique constraint", "Another program wrote the same rows at the same time. Run the command again."),
    ("deadlock detected", "Another program wrote the same rows at the same time. Run the command again."),
    ("password", "Check the user and the password in DATABASE_URL."),
    ('role "', "Check the user in DATABASE_URL."),
    ('database "', "Check the name of the database in DATABASE_URL, or create it with: createdb {name}"),
    ("resolve host", "Check the host in DATABASE_URL."),
    ("translate host", "Check the host in DATABASE_URL."),
    (
        "connection refused",
        "Start it with: docker compose up -d postgres, or unset DATABASE_URL to use SQLite.",
    ),
    ("unable to open", WRITABLE_FILE),
    ("readonly", WRITABLE_FILE),
    ("disk is full", "Free some space on its disk."),
)
DATABASE_REMEDY = "Check DATABASE_URL."
REDIS_REMEDIES = (
    ("db index", "Set {name} to a database number that the server has."),
    ("maxmemory", "Give the server more memory, or set its maxmemory-policy to volatile-lru."),
    ("read only replica", "Set {name} to the primary of this replica."),
    ("no permissions", "Allow the user in {name} to run this command."),
)
REDIS_REMEDY = "Check {name}."
# The server that is used when the variable is not set.
INSTEAD_OF = {"REDIS_URL": "the private one", "READ_REDIS_URL": "the next database of REDIS_URL"}
ASKING_SECONDS = 1.0


def explain(error: BaseException, *, database: str | None = None) -> str | None:
    """One line that explains a failure of the database or of Redis; ``None`` for any other error.

    ``database`` is the alias of the database that was used.
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
        return f"The database has no tables yet ({reason}). Create them with: python manage.py migrate"
    remedy = next((remedy for piece, remedy in DATABASE_REMEDIES if piece in lowered), DATABASE_REMEDY)
    remedy = remedy.format(name=connections[alias].settings_dict["NAME"])
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
            f"The private Redis at {shown} does not answer. Stop it with: python manage.py private_redis stop"
        )
    return f"Cannot reach Redis at {shown}. {_redis_remedy(error, name, url)}"


def _redis_remedy(error: redis.exceptions.RedisError, name: str, url: str) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return f"Its certificate is not trusted. Name the file of its issuer: ?ssl_ca_certs=FILE in {name}."
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"The TLS handshake failed. If the server does not use TLS, {name} must begin with redis://."
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"The host is not known. Check its name in {name}."
    if url.startswith("redis://") and ("closed" in str(error).lower() or "reset" in str(error).lower()):
        return f"The server closed the connection. If it uses TLS, {name} must begin with rediss://."
    if isinstance(error, redis.exceptions.TimeoutError):
        # A Redis without TLS takes the handshake for the start of a command and waits for the rest.
        remedy = f"The server does not answer. Restart it, or check the host and the port in {name}."
        if url.startswith("rediss://"):
            remedy += f" If the server does not use TLS, {name} must begin with redis://."
        return remedy
    return f"Start it with: docker compose up -d redis, or unset {name} to use {INSTEAD_OF[name]}."


def _variable_of(error: redis.exceptions.RedisError) -> str:
    """The name of the variable that holds the URL of the server that failed.

    The errors of redis-py seldom name the server, so this pings both servers and picks the one that fails
    with the same message. It takes at most a few seconds if the servers hang.
    """
    if settings.USES_PRIVATE_REDIS:
        return "REDIS_URL"
    failures = {name: failure for name in INSTEAD_OF if (failure := _failure_of(getattr(settings, name)))}
    same = [name for name, failure in failures.items() if failure == str(error)]
    return [*same, *failures, "REDIS_URL"][0]


def _failure_of(url: str) -> str:
    """The message of redis-py's error when the server is pinged now; ``""`` if the server answers."""
    options = {"socket_timeout": ASKING_SECONDS, "socket_connect_timeout": ASKING_SECONDS}
    try:
        with closing(redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)) as client:
            client.ping()
    except redis.exceptions.RedisError as error:
        return str(error)
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, each once: django-redis makes them a circle."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
