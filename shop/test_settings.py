"""The settings of the tests: the real ones, on a Redis of their own in a folder of their own.

REDIS_URL is not heard: the tests empty what they test, and that must never be anybody's cache.
"""

import os
import tempfile
from copy import deepcopy
from pathlib import Path

_temporary_name = str(Path(tempfile.gettempdir()) / f"shop-tests-{os.getpid()}")

os.environ.update(
    DEBUG="off",
    SECRET_KEY="for-tests-only",
    ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
    HTTPS="off",
    REDIS_URL="",
    READ_REDIS_URL="",
    PRIVATE_REDIS_DIR=_temporary_name,
    SIMULATED_LATENCY_SECONDS="0",
)

from shop.settings import *
from shop.settings import CACHES as SHOP_CACHES

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file in WAL mode, as in production: in memory, nobody can read while a transaction is open.
    DATABASES["default"]["TEST"] = {"NAME": f"{_temporary_name}.sqlite3"}
    # It need not outlive a power cut, for which SQLite would wait for the disk after each test.
    DATABASES["default"]["OPTIONS"]["init_command"] += ";PRAGMA synchronous=OFF;"

# A quarter of a second is much for Redis and little for a machine that runs tests on every core. Only
# the tests of outages have the shop's own limits.
CACHES = deepcopy(SHOP_CACHES)
CACHES["read"]["OPTIONS"] |= {"SOCKET_CONNECT_TIMEOUT": 10, "SOCKET_TIMEOUT": 10}

# A view that reads a table it did not declare is a bug here, and a warning in production.
READ_CACHE_STRICT = True

# Each client of a test has a middleware of its own, which would list every static file before its first
# answer, for most of the time that the test takes. This way it looks for a file when one is asked for.
WHITENOISE_AUTOREFRESH = True

# The slow hash that protects people's passwords would only slow the tests.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
