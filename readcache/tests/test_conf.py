"""The settings: defaults, rules, and what a wrong value says."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpRequest, HttpResponse
from pytest_django import Settings

from readcache import conf
from readcache.checks import check_declarations
from readcache.conf import Configuration, configuration
from readcache.serving import responses
from readcache.storage.entries import make_entry

SECONDS_RULE = "a number of seconds, more than 0 and at most 3600"
BAD_VALUES: dict[str, list[Any]] = {
    "READ_CACHE_ALIAS": ["", None, 5],
    "READ_CACHE_LEASE_SECONDS": [0, -1, "soon", None, float("nan"), float("inf"), 3601],
    "READ_CACHE_WAIT_SECONDS": [-0.001, "", None, 3601],
    "READ_CACHE_LONGEST_WRITE_SECONDS": [0, -1, "", "soon", float("nan"), 86_401],
    "READ_CACHE_READ_SECONDS": [0, -1, None, 3601],
    "READ_CACHE_WRITE_SECONDS": [0, -1, None, 3601],
    "READ_CACHE_DECLARATION_SECONDS": [1, -1, None, 3601],
    "READ_CACHE_STRICT": ["False", 1, None],
    "READ_CACHE_NAME": ["", None, "Läden", "two\nlines", "\x7f"],
}
every_bad_value = pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values]
)


def test_a_project_may_leave_every_setting_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "settings", object())

    assert configuration.__wrapped__() == Configuration(
        alias="read",
        lease_seconds=10.0,
        wait_seconds=5.0,
        longest_write_seconds=60 if connection.vendor == "sqlite" else 3600,
        read_seconds=0.25,
        write_seconds=0.5,
        declaration_seconds=2.0,
        strict=False,
        name="readcache",
    )


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("READ_CACHE_ALIAS", "pages", "alias", "pages"),
        ("READ_CACHE_LEASE_SECONDS", 0.001, "lease_seconds", 0.001),
        ("READ_CACHE_LEASE_SECONDS", 3600, "lease_seconds", 3600.0),
        # As from the environment.
        ("READ_CACHE_WAIT_SECONDS", "2.5", "wait_seconds", 2.5),
        ("READ_CACHE_WAIT_SECONDS", 0, "wait_seconds", 0.0),
        ("READ_CACHE_LONGEST_WRITE_SECONDS", 30, "longest_write_seconds", 30.0),
        ("READ_CACHE_READ_SECONDS", 1, "read_seconds", 1.0),
        ("READ_CACHE_WRITE_SECONDS", 2, "write_seconds", 2.0),
        ("READ_CACHE_DECLARATION_SECONDS", 0, "declaration_seconds", 0.0),
        ("READ_CACHE_DECLARATION_SECONDS", 5, "declaration_seconds", 5.0),
        ("READ_CACHE_STRICT", True, "strict", True),
        ("READ_CACHE_NAME", "library-1.example", "name", "library-1.example"),
        ("READ_CACHE_NAME", "The library", "name", '"The library"'),
        ("READ_CACHE_NAME", '1 "quoted" \\ name', "name", '"1 \\"quoted\\" \\\\ name"'),
    ],
)
def test_a_setting_that_changes_is_used_at_once(
    name: str, value: Any, attribute: str, expected: Any, settings: Settings
) -> None:
    configuration()
    setattr(settings, name, value)

    assert getattr(configuration(), attribute) == expected


@every_bad_value
def test_a_bad_value_is_an_error_of_the_system_check(name: str, value: Any, settings: Settings) -> None:
    setattr(settings, name, value)

    [message] = check_declarations()

    assert message.id == "readcache.E007"
    assert message.msg.startswith(f"{name} must be ")
    assert message.msg.endswith(f", got {value!r}.")
    assert "remove it to use the default" in str(message.hint)


@every_bad_value
def test_a_bad_value_that_was_not_checked_is_refused_where_it_is_used(
    name: str, value: Any, settings: Settings
) -> None:
    setattr(settings, name, value)

    with pytest.raises(ImproperlyConfigured, match=f"^{name} must be "):
        configuration()


def test_every_bad_value_is_named_at_once(settings: Settings) -> None:
    settings.READ_CACHE_LEASE_SECONDS = 0
    settings.READ_CACHE_STRICT = "yes"

    assert [str(message.msg) for message in check_declarations()] == [
        f"READ_CACHE_LEASE_SECONDS must be {SECONDS_RULE}, got 0.",
        "READ_CACHE_STRICT must be True or False, got 'yes'.",
    ]


def test_the_name_stands_in_cache_status(settings: Settings) -> None:
    settings.READ_CACHE_NAME = "My library"
    request, entry = HttpRequest(), make_entry(b"{}", tokens=(), now_ms=0)
    other = HttpResponse()

    hit = responses.from_entry(request, entry, status="hit; ttl=9", now_ms=0)
    responses.add_cache_status(other, status="fwd=method")

    assert hit["Cache-Status"] == '"My library"; hit; ttl=9'
    assert other["Cache-Status"] == '"My library"; fwd=method'
