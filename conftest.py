"""Fixtures of all tests: a real Redis for each test process, which is empty when a test begins."""

from __future__ import annotations

import fcntl
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.tmpdir import tmppath_result_key
from django.conf import settings
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from catalog.cached_pages import redis_client
from readcache.testing import PrivateRedis

pytest_plugins = ["readcache.testing.pytest_plugin"]
# The engine's tests have separate settings. Run them with: python -m pytest readcache/tests
collect_ignore = ["readcache/tests"]

ROOT = Path(__file__).parent

Manage = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from searching the modules that the tests import, again and again.

    Whoever measures times collects garbage first, which then takes a fraction of the time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set what pytest's ``tmp_path`` reads at its end: after Ctrl-C during a setup it would be missing."""
    item.stash.setdefault(tmppath_result_key, {})


@pytest.fixture(scope="session", autouse=True)
def _quick_table_flush(quick_table_flush: None) -> None:
    """Turn the fixture of ``readcache.testing`` on for all tests."""


@pytest.fixture(scope="session", autouse=True)
def _signals() -> None:
    """Restore the default handlers for tests that send signals: nohup and "&" make a process ignore them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def private_redis() -> Iterator[PrivateRedis]:
    """The Redis of this test process. It is stopped when the process ends."""
    server = PrivateRedis(settings.PRIVATE_REDIS_DIR)
    yield server
    for alias in settings.CACHES:
        redis_client(alias).connection_pool.disconnect()
    server.stop()
    shutil.rmtree(settings.PRIVATE_REDIS_DIR, ignore_errors=True)


@pytest.fixture(autouse=True)
def redis(private_redis: PrivateRedis, no_outage_left: None) -> Any:
    """The connection of the ``default`` cache. All databases of the server are empty."""
    client = redis_client()
    client.flushall()
    return client


@pytest.fixture
def read_redis(redis: Any) -> Any:
    """The connection of the read cache."""
    return redis_client("read")


@pytest.fixture
def api() -> APIClient:
    """An anonymous client."""
    return APIClient()


@pytest.fixture
def admin_api(admin_user: User) -> APIClient:
    client = APIClient()
    client.force_login(admin_user)
    return client


@pytest.fixture
def manage_environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a newcomer's machine, with a separate database and private Redis."""
    environment = newcomers_environment(tmp_path)
    yield environment
    PrivateRedis(Path(environment["PRIVATE_REDIS_DIR"])).stop()


def newcomers_environment(folder: Path) -> dict[str, str]:
    # An empty variable counts as not set, and it keeps the developer's .env from setting it.
    example = (ROOT / ".env.example").read_text()
    unset = dict.fromkeys(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE), "")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return {
        **unset,
        **kept,
        "DATABASE_URL": f"sqlite:///{folder / 'shop.sqlite3'}",
        "PRIVATE_REDIS_DIR": str(folder / "redis"),
        "COLUMNS": "80",
    }


@pytest.fixture
def manage(manage_environment: dict[str, str]) -> Manage:
    """Run ``manage.py`` in a separate process. Keyword arguments are environment variables."""
    return lambda *arguments, **variables: run_manage(arguments, manage_environment | variables)


def run_manage(
    arguments: Sequence[str], environment: dict[str, str], *, program: Sequence[str] = ("manage.py",)
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def migrated(manage: Manage, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Manage:
    """``manage`` on a database with tables."""
    shutil.copy(_database_made_by(tmp_path_factory, ["migrate", "-v0"]), tmp_path / "shop.sqlite3")
    return manage


@pytest.fixture
def small_shop(manage: Manage, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Manage:
    """``manage`` on a database with forty products."""
    made = _database_made_by(tmp_path_factory, ["migrate", "-v0"], ["seed_products", "--count", "40", "-v0"])
    shutil.copy(made, tmp_path / "shop.sqlite3")
    return manage


@pytest.fixture
def many_connections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Only one test at a time may open fifty database connections, in whichever worker it runs.

    PostgreSQL accepts a hundred by default.
    """
    with (_folder_of_all_workers(tmp_path_factory) / "many-connections").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _folder_of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def _database_made_by(tmp_path_factory: pytest.TempPathFactory, *commands: Sequence[str]) -> Path:
    """A database made by these commands. One worker makes it, in seconds, and each test copies it."""
    folder = _folder_of_all_workers(tmp_path_factory) / f"after-{commands[-1][0]}"
    folder.mkdir(exist_ok=True)
    made = folder / "made.sqlite3"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            environment = newcomers_environment(folder)
            with PrivateRedis(Path(environment["PRIVATE_REDIS_DIR"])).left_as_found():
                for command in commands:
                    run_manage(command, environment).check_returncode()
            (folder / "shop.sqlite3").rename(made)
    return made
