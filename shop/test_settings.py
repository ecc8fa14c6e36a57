"""The settings of the tests: the shop's settings, with a temporary Redis for each process.

REDIS_URL is ignored: the tests empty the caches that they use, and must never empty a real one.
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
    # A file in WAL mode, as in production: a database in memory cannot be read while a transaction is open.
    DATABASES["default"]["TEST"] = {"NAME": f"{_temporary_name}.sqlite3"}
    # It need not survive a power cut. Otherwise SQLite would wait for the disk after each test.
    DATABASES["default"]["OPTIONS"]["init_command"] += ";PRAGMA synchronous=OFF;"
else:
    # A database for each process, so that two runs at once do not drop each other's.
    DATABASES["default"]["TEST"] = {"NAME": f"test_{DATABASES['default']['NAME']}_{os.getpid()}"}

# A quarter of a second is long for Redis and short for a machine that runs tests on every core. Only the
# tests of outages use the shop's time limits.
CACHES = deepcopy(SHOP_CACHES)
CACHES["read"]["OPTIONS"] |= {"SOCKET_CONNECT_TIMEOUT": 10, "SOCKET_TIMEOUT": 10}
READ_CACHE_READ_SECONDS = READ_CACHE_WRITE_SECONDS = 10

# A view that reads an undeclared table raises an error in the tests; in production it logs a warning.
READ_CACHE_STRICT = True
# Each process of the tests knows what the views declare.
READ_CACHE_DECLARATION_SECONDS = 0

# Each test client has its own middleware. WhiteNoise would list every static file before the first answer,
# which takes most of a test's time. With this setting it looks for a file when one is requested.
WHITENOISE_AUTOREFRESH = True

# The slow hash that protects passwords would only slow the tests down.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
