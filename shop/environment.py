"""Typed readers of environment variables, whose errors name the variable, its value and the rule.

``django-environ`` reads an unknown word as ``False`` and lets ``int()`` raise on its own; a
setting that is silently off is worse than a start that is refused.
"""

import math
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from redis import ConnectionPool
from redis.connection import parse_url
from redis.exceptions import RedisError

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off", ""}
# Of sqlite3.connect and of Django's backend, those that a URL can say.
SQLITE_OPTIONS = {"timeout", "transaction_mode", "init_command", "cached_statements"}
DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")


def read_env_file(path: Path) -> None:
    """Set the variables of the file that are not set already. It need not be there."""
    try:
        environ.Env.read_env(path)
    except UnicodeError:
        raise ImproperlyConfigured(f"{path} must be a text in UTF-8. Save it as such.") from None


def is_set(name: str) -> bool:
    """Whether the variable is there and not empty; ``NAME=`` in an env file means not set."""
    return bool(read_text(name))


def read_text(name: str, *, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def read_list(name: str) -> list[str]:
    """Comma-separated words, without the empty ones."""
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
    """A number of seconds from ``minimum`` to ``maximum``; otherwise ``ImproperlyConfigured``."""
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
    """The URL, or ``""`` where the variable is not set; ``ImproperlyConfigured`` if redis-py refuses it."""
    url = read_text(name)
    if url and not _names_a_redis(url):
        raise ImproperlyConfigured(
            f"{name} must be like redis://127.0.0.1:6379/1 or unix:///path/redis.sock?db=1, "
            f"got {mask_password(url)!r}."
        )
    if url and (problem := _problem_of_redis_url(url)):
        raise ImproperlyConfigured(f"{name} must have {problem}; got {mask_password(url)!r}.")
    return url


def next_database(redis_url: str) -> str:
    """The same server's database with the next number; ``""`` for no URL.

    Raises ``ImproperlyConfigured`` where the URL does not let its number be changed.
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
    """A Django ``DATABASES`` entry from a URL, or an empty dict where the variable is not set."""
    url = read_text(name)
    try:
        return _parse_database_url(url) if url else {}
    except (ValueError, KeyError):
        raise ImproperlyConfigured(
            f"{name} must be like postgres://user:password@host:5432/name or sqlite:///path/file, "
            f"with %2F and %40 for / and @ in a password; got {mask_password(url)!r}."
        ) from None


def mask_password(url: str) -> str:
    """The URL with ``***`` for whatever may be a password, so that it can be shown."""
    # Up to the last @: a password may have one. From the first colon behind the scheme's: a URL
    # that is not quite one still shows none.
    url = re.sub(r"^((?>(?:[a-z]*:?/+)?)[^:]*):.*@", r"\1:***@", url, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"(password=)[^&]*", r"\1***", url, flags=re.IGNORECASE)


def _names_a_redis(url: str) -> bool:
    try:
        address = parse_url(url)
        # redis-py looks at the port only when it connects; and redis:/h is no host for it.
        return bool(address.get("path") or (address.get("host") and urlsplit(url).port != 0))
    except ValueError:
        return False


def _problem_of_redis_url(url: str) -> str:
    """What redis-py passes over in silence, or says only when it connects."""
    parts = urlsplit(url)
    # unquote and int, as redis-py has it, would take /1/2 for 12 and pass over /shop.
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


def _sqlite_options(options: dict[str, object]) -> dict[str, object]:
    """The options of an URL, with a timeout in seconds as a number. Raises ``ValueError``."""
    if unknown := options.keys() - SQLITE_OPTIONS:
        raise ValueError(f"no such option: {', '.join(sorted(unknown))}")
    if "timeout" in options:
        options = {**options, "timeout": float(str(options["timeout"]))}
    return options


def _parse_database_url(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme not in DATABASE_SCHEMES or "@" in parts.path:
        raise ValueError
    # sqlite://file has the file's name where a host is: a slash is missing.
    if parts.scheme == "sqlite" and parts.netloc and url != "sqlite://:memory:":
        raise ValueError
    database = dict(environ.Env.db_url_config(url))
    if parts.scheme == "sqlite" and "OPTIONS" in database:
        database["OPTIONS"] = _sqlite_options(database["OPTIONS"])
    return database
