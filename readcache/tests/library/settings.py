"""The settings of the engine's tests and of the processes that they start.

``DATABASE_URL`` names the database: a new SQLite file unless it is set. The tests set the others for
the processes that they start: ``LIBRARY_REDIS_DIR``, the folder of the private Redis, or
``LIBRARY_REDIS_URL``; the times ``LIBRARY_REDIS_SECONDS``, ``LIBRARY_LEASE_SECONDS``,
``LIBRARY_WAIT_SECONDS``, ``LIBRARY_DECLARATION_SECONDS`` and ``LIBRARY_LONGEST_WRITE_SECONDS``; and
``LIBRARY_URLCONF``, which belongs to a release that may declare nothing. A test run always starts a new
Redis, because the tests empty it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from library.database import database_of
from readcache.testing import PrivateRedis, PrivateRedisConnection

_temporary_name = str(Path(tempfile.gettempdir()) / f"readcache-tests-{os.getpid()}")

SECRET_KEY = "for-tests-only"
ALLOWED_HOSTS = ["testserver", "localhost"]
ROOT_URLCONF = os.environ.get("LIBRARY_URLCONF") or "library.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
# The slow hash that protects the passwords of accounts would only slow the tests.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "readcache",
    "library",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

REST_FRAMEWORK = {
    # A view that forgets to say who may use it is for admins only.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
}

DATABASES: dict[str, dict[str, Any]] = {
    "default": database_of(os.environ.get("DATABASE_URL") or f"sqlite:///{_temporary_name}.sqlite3")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file: nobody can read a database in memory while a transaction is open.
    DATABASES["default"]["TEST"] = {"NAME": f"{_temporary_name}.sqlite3"}
else:
    # A database for each process, so that two runs at once do not drop each other's.
    DATABASES["default"]["TEST"] = {"NAME": f"test_{DATABASES['default']['NAME']}_{os.getpid()}"}

PRIVATE_REDIS_DIR = Path(os.environ.get("LIBRARY_REDIS_DIR") or f"{_temporary_name}.redis")
PRIVATE_REDIS = PrivateRedis(PRIVATE_REDIS_DIR)

CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "read": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": PRIVATE_REDIS.url(database=2),
        "OPTIONS": {
            # A project would wait a quarter of a second. That is little for a machine that runs
            # tests on every core, so only the tests of outages do.
            "SOCKET_CONNECT_TIMEOUT": 10,
            "SOCKET_TIMEOUT": 10,
            "CONNECTION_POOL_KWARGS": {
                "connection_class": PrivateRedisConnection,
                "server": PRIVATE_REDIS,
                # A connection that a restarted server has closed is replaced; a time-out is not
                # waited for twice.
                "retry": Retry(NoBackoff(), retries=1, supported_errors=(RedisConnectionError,)),
            },
        },
    },
}

READ_CACHE_WAIT_SECONDS = float(os.environ.get("LIBRARY_WAIT_SECONDS") or 5)
# Only the tests of outages have a project's own limits.
READ_CACHE_READ_SECONDS = READ_CACHE_WRITE_SECONDS = float(os.environ.get("LIBRARY_REDIS_SECONDS") or 10)
READ_CACHE_LEASE_SECONDS = float(os.environ.get("LIBRARY_LEASE_SECONDS") or 10)
if "LIBRARY_LONGEST_WRITE_SECONDS" in os.environ:
    READ_CACHE_LONGEST_WRITE_SECONDS = float(os.environ["LIBRARY_LONGEST_WRITE_SECONDS"])
# Of a process that a test has started.
if "LIBRARY_REDIS_URL" in os.environ:
    CACHES["read"] = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["LIBRARY_REDIS_URL"]}

# Every process of a test knows each declaration, except where a test says otherwise.
READ_CACHE_DECLARATION_SECONDS = float(os.environ.get("LIBRARY_DECLARATION_SECONDS") or 0)
# A view that reads a table it did not declare is an error here, and a warning in production.
READ_CACHE_STRICT = True
# A name that is not the default.
READ_CACHE_NAME = "library"
