"""Typed readers of environment variables, whose errors name the variable, its value and the rule.

``django-environ`` reads an unknown word as ``False`` and lets ``int()`` raise on its own; a
setting that is silently off is worse than a start that is refused.
"""

import math
import re
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off", ""}
DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")
REDIS_SCHEMES = ("redis", "rediss", "unix")

env = environ.Env()


def is_set(name: str) -> bool:
    """Whether the variable is there and not empty; ``NAME=`` in an env file means not set."""
    return bool(env.str(name, default="").strip())


def read_text(name: str, *, default: str = "") -> str:
    return str(env.str(name, default="")).strip() or default


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


def read_seconds(name: str, *, default: float, maximum: float) -> float:
    """A finite number of seconds from 0 to ``maximum``; otherwise ``ImproperlyConfigured``."""
    text = read_text(name, default=str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= maximum:
        raise ImproperlyConfigured(f"{name} must be a number of seconds from 0 to {maximum:g}, got {text!r}.")
    return seconds


def read_url(name: str, *, schemes: tuple[str, ...]) -> str:
    """The URL, or ``""`` where the variable is not set; ``ImproperlyConfigured`` for another scheme."""
    url = read_text(name)
    if url and _scheme_of(url) not in schemes:
        allowed = ", ".join(f"{scheme}://" for scheme in schemes)
        raise ImproperlyConfigured(f"{name} must start with one of {allowed}; got {mask_password(url)!r}.")
    return url


def read_database(name: str) -> dict[str, object]:
    """A Django ``DATABASES`` entry from a URL, or an empty dict where the variable is not set."""
    url = read_url(name, schemes=DATABASE_SCHEMES)
    try:
        return dict(env.db_url_config(url)) if url else {}
    except (ValueError, KeyError):
        raise ImproperlyConfigured(
            f"{name} must be like postgres://user:password@host:5432/name, got {mask_password(url)!r}."
        ) from None


def mask_password(url: str) -> str:
    """The URL with ``***`` for a password, so that it can be shown."""
    url = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", url)


def _scheme_of(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
