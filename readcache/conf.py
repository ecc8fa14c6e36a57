"""The ``READ_CACHE_*`` settings: defaults, rules, and the values that this process uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import connections

PREFIX = "READ_CACHE_"
DEFAULT_LEASE_SECONDS = 10
DEFAULT_WAIT_SECONDS = 5
DEFAULT_LONGEST_WRITE_SECONDS = 3600
# SQLite is a library in the process: it does not go on after its client was killed.
LONGEST_WRITE_SECONDS_ON_SQLITE = 60
# A process that writes looks once a second at what others have declared.
SHORTEST_DECLARATION_SECONDS = 2
LONGEST_SECONDS = 3600
LONGEST_WRITE_SECONDS = 86_400
# RFC 8941, section 3.3.4.
TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """The settings as the engine uses them.

    ``alias`` names the engine's entry in ``CACHES``. For ``lease_seconds`` after a writer was killed
    between COMMIT and rotation, a response may be stale. A request waits ``wait_seconds`` for
    another request that fills the same entry. ``longest_write_seconds`` is how long the database can go
    on with one statement or COMMIT, also after its client was killed. A request waits ``read_seconds``
    for Redis, and a write ``write_seconds``, whatever the Redis URL says. A response is stored when Redis
    has known for ``declaration_seconds`` which tables it depends on. ``strict`` raises where a view
    reads something undeclared. ``name`` identifies the cache in ``Cache-Status``, serialised as RFC 8941
    asks.
    """

    alias: str
    lease_seconds: float
    wait_seconds: float
    longest_write_seconds: float
    read_seconds: float
    write_seconds: float
    declaration_seconds: float
    strict: bool
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One setting. ``parse`` returns the value to use, or raises ``TypeError`` or ``ValueError``."""

    name: str
    default: Any
    rule: str
    parse: Callable[[Any], Any]

    @property
    def problem(self) -> str:
        """The reason why the value is refused, or ``""``."""
        try:
            self.value()
        except (TypeError, ValueError):
            return f"{self.name} must be {self.rule}, got {self._given()!r}."
        return ""

    @property
    def remedy(self) -> str:
        return f"Correct it, or remove it to use the default, {self.default!r}."

    def value(self) -> Any:
        return self.parse(self._given())

    def _given(self) -> Any:
        return getattr(settings, self.name, self.default)


@cache
def configuration() -> Configuration:
    """The settings, parsed once and anew when a test changes one. Raises ``ImproperlyConfigured``."""
    for setting in SETTINGS:
        if setting.problem:
            raise ImproperlyConfigured(f"{setting.problem} {setting.remedy}")
    return Configuration(
        **{setting.name.removeprefix(PREFIX).lower(): setting.value() for setting in SETTINGS}
    )


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError
    if not given:
        raise ValueError
    return given


def _seconds(*, may_be_zero: bool) -> Callable[[Any], float]:
    def parse(given: Any) -> float:
        seconds = float(given)
        if not 0 <= seconds <= LONGEST_SECONDS or (seconds == 0 and not may_be_zero):
            raise ValueError
        return seconds

    return parse


def _longest_write_seconds(given: Any) -> float:
    if given is not None:
        seconds = float(given)
        if not 0 < seconds <= LONGEST_WRITE_SECONDS:
            raise ValueError
        return seconds
    engines = {database["ENGINE"].rpartition(".")[2] for database in connections.settings.values()}
    return LONGEST_WRITE_SECONDS_ON_SQLITE if engines <= {"sqlite3"} else DEFAULT_LONGEST_WRITE_SECONDS


def _declaration_seconds(given: Any) -> float:
    seconds = float(given)
    if seconds != 0 and not SHORTEST_DECLARATION_SECONDS <= seconds <= LONGEST_SECONDS:
        raise ValueError
    return seconds


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise TypeError
    return given


def _serialised_name(given: Any) -> str:
    """An sf-token as it is, any other text as an sf-string."""
    name = _text(given)
    if TOKEN.fullmatch(name):
        return name
    if not (name.isascii() and name.isprintable()):
        raise ValueError
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith(PREFIX):
        configuration.cache_clear()


SETTINGS = (
    Setting(name="READ_CACHE_ALIAS", default="read", rule="the name of an entry in CACHES", parse=_text),
    Setting(
        name="READ_CACHE_LEASE_SECONDS",
        default=DEFAULT_LEASE_SECONDS,
        rule=f"a number of seconds, more than 0 and at most {LONGEST_SECONDS}",
        parse=_seconds(may_be_zero=False),
    ),
    Setting(
        name="READ_CACHE_WAIT_SECONDS",
        default=DEFAULT_WAIT_SECONDS,
        rule=f"a number of seconds, 0 or more and at most {LONGEST_SECONDS}",
        parse=_seconds(may_be_zero=True),
    ),
    Setting(
        name="READ_CACHE_LONGEST_WRITE_SECONDS",
        default=None,
        rule=f"a number of seconds, more than 0 and at most {LONGEST_WRITE_SECONDS:,}, or None",
        parse=_longest_write_seconds,
    ),
    Setting(
        name="READ_CACHE_READ_SECONDS",
        default=0.25,
        rule=f"a number of seconds, more than 0 and at most {LONGEST_SECONDS}",
        parse=_seconds(may_be_zero=False),
    ),
    Setting(
        name="READ_CACHE_WRITE_SECONDS",
        default=0.5,
        rule=f"a number of seconds, more than 0 and at most {LONGEST_SECONDS}",
        parse=_seconds(may_be_zero=False),
    ),
    Setting(
        name="READ_CACHE_DECLARATION_SECONDS",
        default=SHORTEST_DECLARATION_SECONDS,
        rule=f"a number of seconds, from {SHORTEST_DECLARATION_SECONDS} to {LONGEST_SECONDS}, or 0 in tests",
        parse=_declaration_seconds,
    ),
    Setting(name="READ_CACHE_STRICT", default=False, rule="True or False", parse=_flag),
    Setting(
        name="READ_CACHE_NAME",
        default="readcache",
        rule="a text of printable ASCII characters (it goes into the header Cache-Status)",
        parse=_serialised_name,
    ),
)
setting_changed.connect(_forget, dispatch_uid="read-cache-configuration")
