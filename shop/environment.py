"""Typed readers of environment variables. Their errors name the variable, its value and the rule.

``django-environ`` reads an unknown word as ``False`` and leaves it to ``int()`` to raise. A program that
refuses to start is better than a setting that is off without a word.
"""

import math
import os
import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from redis import ConnectionPool
from redis.connection import parse_url
from redis.exceptions import RedisError

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off", ""}
# The options of sqlite3.connect and of Django's backend that a URL can express.
SQLITE_OPTIONS = {"timeout", "transaction_mode", "init_command", "cached_statements"}
DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")


def is_set(name: str) -> bool:
    """Whether the variable exists and is not empty; ``NAME=`` in an env file means "not set"."""
    return bool(read_text(name))


def read_text(name: str, *, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def read_list(name: str) -> list[str]:
    """The comma-separated words of the variable, without empty ones."""
    return [word.strip() for word in read_text(name).split(",") if word.strip()]


def read_bool(name: str, *, default: bool) -> bool:
    """Raises ``ImproperlyConfigured`` for anything but on/off, true/false, yes/no, 1/0."""
    if not is_set(name):
        return default
    word = read_text(name).lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ImproperlyConfigured(f"{name} must be on or off, got {word!r}.")
    return word in TRUE_WORDS


def read_seconds(name: str, *, default: float, maximum: float, minimum: float = 0) -> float:
    """A number of seconds from ``minimum`` to ``maximum``; ``ImproperlyConfigured`` for another value."""
    text = read_text(name, default=str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not minimum <= seconds <= maximum:
        raise ImproperlyConfigured(
            f"{name} must be a number of seconds from {minimum:g} to {maximum:g}, got {text!r}."
        )
    return seconds


def read_redis_url(name: str) -> str:
    """The URL, or ``""`` if the variable is not set. Raises ``ImproperlyConfigured``."""
    url = read_text(name)
    if url and not _names_a_redis(url):
        raise ImproperlyConfigured(
            f"{name} must be like redis://127.0.0.1:6379/1 or unix:///path/redis.sock?db=1, "
            f"got {mask_password(url)!r}."
        )
    if url and (rule := _broken_rule_of_redis_url(url)):
        raise ImproperlyConfigured(f"{name} must have {rule}; got {mask_password(url)!r}.")
    return url


def next_database(redis_url: str) -> str:
    """The URL of the next database of the same server; ``""`` for no URL.

    Raises ``ImproperlyConfigured`` if the database's number cannot be changed in the URL.
    """
    if not redis_url:
        return ""
    number = int(parse_url(redis_url).get("db", 0)) + 1
    parts = urlsplit(redis_url)
    query = dict(parse_qsl(parts.query))
    path = parts.path
    if "db" in query or parts.scheme == "unix":
        query["db"] = str(number)
    else:
        path = f"/{number}"
    changed = f"{parts.scheme}://{parts.netloc}{path}{'?' if query else ''}{urlencode(query)}"
    if parse_url(changed).get("db") != number:
        raise ImproperlyConfigured("READ_REDIS_URL must be set: REDIS_URL names no database by its number.")
    return changed


def read_database(name: str) -> dict[str, object]:
    """An entry of Django's ``DATABASES`` from a URL; an empty dict if the variable is not set.

    Raises ``ImproperlyConfigured``.
    """
    url = read_text(name)
    try:
        database = _parse_database_url(url) if url else {}
    except (ValueError, KeyError):
        raise ImproperlyConfigured(
            f"{name} must be like postgres://user:password@host:5432/name or sqlite:///path/file, "
            f"with %2F and %40 for / and @ in a password; got {mask_password(url)!r}."
        ) from None
    if url and not _names_a_database(urlsplit(url), database):
        raise ImproperlyConfigured(
            f"{name} must end with the database's name, as in postgres://user:password@host:5432/name "
            f"or sqlite:///path/file; got {mask_password(url)!r}."
        )
    return database


def mask_password(url: str) -> str:
    """The URL with ``***`` in place of everything that may be a password."""
    # Up to the last @, because a password may contain one. From the first colon after the scheme's, so
    # that a text that is not quite a URL shows no password either.
    url = re.sub(r"^((?>(?:[a-z]*:?/+)?)[^:]*):.*@", r"\1:***@", url, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"(password=)[^&]*", r"\1***", url, flags=re.IGNORECASE)


def _names_a_redis(url: str) -> bool:
    try:
        address = parse_url(url)
        # redis-py reads the port only when it connects, and takes redis:/h for a URL without a host.
        return bool(address.get("path") or (address.get("host") and urlsplit(url).port != 0))
    except ValueError:
        return False


def _broken_rule_of_redis_url(url: str) -> str:
    """The rule that redis-py would ignore, or report only when it connects; ``""`` if none is broken."""
    parts = urlsplit(url)
    # redis-py would read /1/2 as database 12 and ignore /shop.
    if parts.scheme != "unix" and not re.fullmatch(r"/?[0-9]*", parts.path):
        return "a number for its database, as in redis://127.0.0.1:6379/1"
    if int(parse_url(url).get("db", 0)) < 0:
        return "a database of at least 0"
    try:
        ConnectionPool.from_url(url).make_connection()
    except TypeError:
        return "options that redis-py knows, or none"
    except RedisError as error:
        return f"options that redis-py takes ({error})"
    return ""


def _parse_database_url(url: str) -> dict[str, object]:
    """Raises ``ValueError`` or ``KeyError``."""
    parts = urlsplit(url)
    if parts.scheme not in DATABASE_SCHEMES or "@" in parts.path:
        raise ValueError
    # In sqlite://file the file's name stands where a host belongs: a slash is missing.
    if parts.scheme == "sqlite" and parts.netloc and url != "sqlite://:memory:":
        raise ValueError
    database = dict(environ.Env.db_url_config(url))
    if parts.scheme == "sqlite" and "OPTIONS" in database:
        database["OPTIONS"] = _sqlite_options(database["OPTIONS"])
    return database


def _names_a_database(parts: SplitResult, database: dict[str, object]) -> bool:
    """django-environ takes SQLite's URL without a path for a database in memory, which each process loses."""
    if parts.scheme == "sqlite":
        return bool(parts.netloc or parts.path.strip("/"))
    # PostgreSQL may find the name in its service file.
    return bool(database["NAME"] or "service" in dict(parse_qsl(parts.query)))


def _sqlite_options(options: dict[str, object]) -> dict[str, object]:
    """The options of a URL, with the timeout as a number of seconds. Raises ``ValueError``."""
    if unknown := options.keys() - SQLITE_OPTIONS:
        raise ValueError(f"no such option: {', '.join(sorted(unknown))}")
    if "timeout" in options:
        options = {**options, "timeout": float(str(options["timeout"]))}
    return options
