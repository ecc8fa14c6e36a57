"""A process reads the settings once, so each test reads them in a new process."""

from __future__ import annotations

import ast
import json
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from conftest import ROOT, Manage
from readcache.testing import PrivateRedis

DEADLINE_SECONDS = 60

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PRODUCTION = {"DEBUG": "off", "SECRET_KEY": "for-tests-only", "ALLOWED_HOSTS": "shop.example.com"}

SHOW_DATABASE = """
import json
from django.conf import settings
print(json.dumps(settings.DATABASES["default"]))
"""

SHOW_REDIS = """
import django
django.setup()
from django.conf import settings
from django.core.cache import cache
cache.set("key", "value")
print(settings.CACHES["default"]["LOCATION"])
print(settings.USES_PRIVATE_REDIS, settings.PRIVATE_REDIS_DIR.exists())
"""

USE_SQLITE = """
import django
django.setup()
import json, sqlite3
from django.db import connection, transaction

def pragma(name):
    with connection.cursor() as cursor:
        return cursor.execute(f"PRAGMA {name}").fetchone()[0]

found = {name: pragma(name) for name in ("journal_mode", "synchronous", "busy_timeout")}
other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0, isolation_level=None)
with transaction.atomic():
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        found["another writer"] = str(error)
other.close()
print(json.dumps(found))
"""


def listed_variables() -> list[str]:
    return re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)


@pytest.fixture
def python(manage_environment: dict[str, str]) -> Run:
    """Run code without ``manage.py``; keyword arguments are environment variables."""

    def run(code: str, *, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code],
            env=manage_environment | {"DJANGO_SETTINGS_MODULE": "shop.settings"} | variables,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    return run


def assert_one_line(finished: subprocess.CompletedProcess[str], start: str) -> None:
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.startswith(f"Configuration error: {start}")
    assert finished.stderr.count("\n") == 1


# Mode and secrets


def test_debug_is_on_for_manage_py_without_a_configured_deployment(manage: Manage) -> None:
    shown = manage("diffsettings")

    assert shown.stderr == ""
    assert "DEBUG = True" in shown.stdout.splitlines()
    assert "SECRET_KEY = 'django-insecure-for-development-only'" in shown.stdout.splitlines()


def test_debug_is_off_for_manage_py_with_a_configured_deployment(manage: Manage) -> None:
    shown = manage("diffsettings", **PRODUCTION | {"DEBUG": ""})

    assert shown.returncode == 0
    assert "DEBUG = True" not in shown.stdout.splitlines()
    assert "ALLOWED_HOSTS = ['shop.example.com']" in shown.stdout.splitlines()


def test_debug_can_be_switched_on_with_a_secret_key(python: Run) -> None:
    finished = python(
        "from django.conf import settings; print(settings.DEBUG, settings.SECRET_KEY)",
        DEBUG="on",
        SECRET_KEY="mine",
    )

    assert finished.stdout == "True mine\n"


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({"ALLOWED_HOSTS": "shop.example.com"}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": "mine"}, "ALLOWED_HOSTS must name"),
        ({"DEBUG": "off"}, "SECRET_KEY must be set"),
    ],
)
def test_manage_py_refuses_an_incomplete_deployment_in_one_line(
    variables: dict[str, str], missing: str, manage: Manage
) -> None:
    assert_one_line(manage("check", **variables), missing)


@pytest.mark.parametrize(
    ("code", "variables", "missing"),
    [
        ("import shop.wsgi", {}, "SECRET_KEY must be set when DEBUG is off"),
        ("import shop.wsgi", {"SECRET_KEY": "mine"}, "ALLOWED_HOSTS must name the hosts"),
        ("import shop.asgi", {}, "SECRET_KEY must be set when DEBUG is off"),
        ("import django; django.setup()", {}, "SECRET_KEY must be set when DEBUG is off"),
    ],
)
def test_every_program_but_manage_py_is_production(
    code: str, variables: dict[str, str], missing: str, python: Run
) -> None:
    finished = python(code, **variables)

    assert finished.returncode == 1
    assert f"ImproperlyConfigured: {missing}" in finished.stderr.splitlines()[-1]


def test_wsgi_starts_with_a_secret_key_and_hosts(python: Run) -> None:
    finished = python("from shop.wsgi import application", **PRODUCTION)

    assert (finished.returncode, finished.stderr) == (0, "")


def test_the_deployment_check_finds_nothing_in_production(manage: Manage) -> None:
    variables = PRODUCTION | {"SECRET_KEY": secrets.token_urlsafe(50), "HTTPS": "on"}

    checked = manage("check", "--deploy", "--fail-level", "WARNING", **variables)

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("", "False None 0"), ("on", "True ('HTTP_X_FORWARDED_PROTO', 'https') 31536000")],
)
def test_https_is_off_unless_switched_on(value: str, shown: str, python: Run) -> None:
    finished = python(
        "from django.conf import settings as s\n"
        "print(s.SECURE_SSL_REDIRECT, s.SECURE_PROXY_SSL_HEADER, s.SECURE_HSTS_SECONDS)",
        **PRODUCTION | {"HTTPS": value},
    )

    assert finished.stdout == f"{shown}\n"


@pytest.mark.parametrize("value", ["", "on"])
def test_hsts_binds_other_hosts_only_on_request(value: str, python: Run) -> None:
    finished = python(
        "from django.conf import settings as s\n"
        "print(s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD)",
        **PRODUCTION | {"HTTPS": "on", "HSTS_INCLUDE_SUBDOMAINS": value, "HSTS_PRELOAD": value},
    )

    assert finished.stdout == f"{bool(value)} {bool(value)}\n"


# Bad values


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("DEBUG", "maybe", "'maybe'"),
        ("SIMULATED_LATENCY_SECONDS", "-1", "'-1'"),
        ("SIMULATED_LATENCY_SECONDS", "abc", "'abc'"),
        ("SIMULATED_LATENCY_SECONDS", "nan", "'nan'"),
        ("SIMULATED_LATENCY_SECONDS", "61", "'61'"),
        ("READ_CACHE_LEASE_SECONDS", "0", "from 1 to 3600, got '0'"),
        ("REDIS_URL", "http://x", "'http://x'"),
        ("REDIS_URL", "redis://127.0.0.1:6379/1?foo=bar", "options that redis-py knows"),
        ("REDIS_URL", "http://user:pa:phrase@x/1", "'http://user:***@x/1'"),
        ("DATABASE_URL", "mongodb://user:pa/phrase@h/db", "'mongodb://user:***@h/db'"),
        ("DATABASE_URL", "postgres://user:phrase@h:port/db", "'postgres://user:***@h:port/db'"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(name: str, value: str, shown: str, manage: Manage) -> None:
    finished = manage("check", **{name: value})

    assert_one_line(finished, f"{name} must ")
    assert shown in finished.stderr
    assert "phrase" not in finished.stderr


# The file .env


def test_the_example_lists_exactly_the_variables_that_the_settings_read() -> None:
    read = {
        node.args[0].value
        for file in ("settings.py", "environment.py")
        for node in ast.walk(ast.parse((ROOT / "shop" / file).read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.args and isinstance(node.args[0], ast.Constant)
        if re.fullmatch(r"[A-Z_]{3,}", str(node.args[0].value))
    }

    assert len(read) >= 9
    assert sorted(listed_variables()) == sorted(map(str, read))


def test_every_value_of_the_example_is_accepted(python: Run) -> None:
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))

    finished = python("from django.conf import settings; settings.DEBUG", **example | {"SECRET_KEY": "mine"})

    assert (finished.returncode, finished.stderr) == (0, "")


def copy_settings(folder: Path) -> None:
    for name in ("shop", "readcache"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("tests", "__pycache__"))


def test_the_environment_overrides_the_file(
    python: Run, manage_environment: dict[str, str], tmp_path: Path
) -> None:
    copy_settings(tmp_path)
    (tmp_path / ".env").write_text("SECRET_KEY=of the file\nALLOWED_HOSTS=a.example.com,b.example.com\n")
    for name in ("SECRET_KEY", "ALLOWED_HOSTS"):
        del manage_environment[name]
    code = "from django.conf import settings; print(settings.SECRET_KEY, *settings.ALLOWED_HOSTS)"

    from_file = python(code, folder=tmp_path)
    from_both = python(code, folder=tmp_path, SECRET_KEY="of the environment")

    assert from_file.stdout == "of the file a.example.com b.example.com\n"
    assert from_both.stdout == "of the environment a.example.com b.example.com\n"


def test_a_bad_line_of_the_file_is_refused_in_one_line(
    manage_environment: dict[str, str], tmp_path: Path
) -> None:
    copy_settings(tmp_path)
    shutil.copy(ROOT / "manage.py", tmp_path)
    (tmp_path / ".env").write_text("# Redis\nREDIS_URL = redis://127.0.0.1:6379/1\n")

    finished = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env=manage_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )

    assert_one_line(finished, f"{tmp_path}/.env, line 2: REDIS_URL must be followed by = without blanks.")


# Redis


def test_a_configured_redis_is_used_and_no_private_one_starts(python: Run, tmp_path: Path) -> None:
    given = PrivateRedis(tmp_path / "given")
    with given.left_as_found():
        given.ensure_running()
        finished = python(SHOW_REDIS, **PRODUCTION, REDIS_URL=given.url(database=5))
        with closing(Redis(unix_socket_path=str(given.socket_path), db=5)) as client:
            keys = client.keys()

    assert finished.stderr == ""
    assert finished.stdout.splitlines() == [given.url(database=5), "False False"]
    assert keys == [b":1:key"]


def test_a_redis_for_the_read_cache_only_is_refused_in_one_line(manage: Manage) -> None:
    refused = manage("check", READ_REDIS_URL="redis://:s3cret@127.0.0.1:6379/2")

    assert_one_line(refused, "READ_REDIS_URL must not be set without REDIS_URL")
    assert "s3cret" not in refused.stderr


def test_both_caches_in_one_database_are_refused_unless_the_textbook_is_off(manage: Manage) -> None:
    url = "redis://:s3cret@127.0.0.1:1/2"
    refused = manage("check", REDIS_URL=url, READ_REDIS_URL=url)

    assert_one_line(refused, "READ_REDIS_URL must not be REDIS_URL: the textbook's delete_pattern")
    assert "s3cret" not in refused.stderr
    assert manage("check", REDIS_URL=url, READ_REDIS_URL=url, TEXTBOOK="off").returncode == 0


def test_the_tests_never_use_a_configured_redis(python: Run, tmp_path: Path) -> None:
    finished = python(
        "from django.conf import settings; print(settings.CACHES['default']['LOCATION'])",
        DJANGO_SETTINGS_MODULE="shop.test_settings",
        REDIS_URL="redis://redis.example.com/1",
        READ_REDIS_URL="redis://redis.example.com/2",
        PRIVATE_REDIS_DIR="/somebody/else",
        TMPDIR=str(tmp_path),
    )

    assert re.fullmatch(rf"unix://{tmp_path}/shop-tests-.+/redis\.sock\?db=1\n", finished.stdout)


# Databases


def test_a_postgresql_url_configures_psycopg(python: Run) -> None:
    finished = python(
        SHOW_DATABASE, **PRODUCTION, DATABASE_URL="postgres://shop:p%40ss@db.example.com:5433/catalogue"
    )

    database: dict[str, Any] = json.loads(finished.stdout)
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert [database[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "shop",
        "p@ss",
        "db.example.com",
        5433,
        "catalogue",
    ]
    assert database["CONN_MAX_AGE"] == 60
    assert database["CONN_HEALTH_CHECKS"] is True
    assert not database.get("OPTIONS")


def test_sqlite_uses_wal_and_takes_the_write_lock_at_begin(python: Run) -> None:
    finished = python(USE_SQLITE, **PRODUCTION)

    assert finished.stderr == ""
    assert json.loads(finished.stdout) == {
        "journal_mode": "wal",
        "synchronous": 1,
        "busy_timeout": 20_000,
        "another writer": "database is locked",
    }


def test_options_of_a_sqlite_url_override_the_defaults(python: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.sqlite3'}?timeout=5"
    found = python(USE_SQLITE, **PRODUCTION, DATABASE_URL=url)

    assert found.stderr == ""
    assert json.loads(found.stdout)["busy_timeout"] == 5_000
    assert json.loads(found.stdout)["journal_mode"] == "wal"
