"""Fixtures of all tests. Each test run has a real Redis, which is empty at the start of each test."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import caches
from pytest_django import Settings
from rest_framework.test import APIClient

import readcache
from instruments.reply_proxy import ReplyProxy, reply_proxy
from readcache import declarations
from readcache.testing import PrivateRedis

pytest_plugins = ["readcache.testing.pytest_plugin"]


def pytest_configure(config: pytest.Config) -> None:
    if config.inipath != Path(__file__).parent / "pytest.ini":
        raise pytest.UsageError(
            "Run the engine's tests alone, since they have settings of their own: "
            "python -m pytest readcache/tests"
        )


def pytest_report_header() -> str:
    return f"readcache: {readcache.__version__} in {Path(readcache.__file__).parent}"


@pytest.fixture(scope="session", autouse=True)
def _quick_table_flush(quick_table_flush: None) -> None:
    """For all tests."""


@pytest.fixture(scope="session", autouse=True)
def _signals() -> None:
    """As in a terminal, for the tests that send signals: nohup and a shell's "&" have them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def private_redis() -> Iterator[PrivateRedis]:
    """The Redis of this test run, which ends with the run."""
    server: PrivateRedis = settings.PRIVATE_REDIS
    yield server
    redis_client().connection_pool.disconnect()
    server.stop()
    shutil.rmtree(server.directory, ignore_errors=True)


def redis_client() -> Any:
    return caches["read"].client.get_client(write=True)  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def redis(private_redis: PrivateRedis, no_outage_left: None) -> Any:
    """The connection behind the read cache. Every database of the server is empty."""
    client = redis_client()
    client.flushall()
    return client


@pytest.fixture
def proxy(private_redis: PrivateRedis, redis: Any, settings: Settings) -> Iterator[ReplyProxy]:
    """A proxy before the private Redis, which the engine uses instead. ``redis`` is not behind it."""
    with reply_proxy(private_redis.socket_path) as proxy:
        database = redis.connection_pool.connection_kwargs["db"]
        location = {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": proxy.url(database=database),
        }
        settings.CACHES = {**settings.CACHES, "read": location}
        yield proxy


@pytest.fixture
def api() -> APIClient:
    """A visitor."""
    return APIClient()


@pytest.fixture
def admin_api(admin_user: User) -> APIClient:
    client = APIClient()
    client.force_login(admin_user)
    return client


@pytest.fixture
def temporary_declarations() -> Iterator[None]:
    """Forget at the end of the test what it declares."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(declarations, "_declared", [*declarations.declarations()])
        yield
    declarations.declared_tags.cache_clear()


@pytest.fixture
def many_connections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For tests with fifty connections to the database: one of them at a time, whatever the worker.

    PostgreSQL takes a hundred, unless told otherwise.
    """
    folder = tmp_path_factory.getbasetemp()
    folder_of_all_workers = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with (folder_of_all_workers / "many-connections").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
