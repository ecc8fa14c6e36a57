"""The settings of the tests: the real ones, on a Redis of their own in a folder of their own.

REDIS_URL is not heard: the tests empty what they test, and that must never be anybody's cache.
"""

import os
import tempfile

os.environ.update(
    DEBUG="off",
    SECRET_KEY="for-tests-only",
    ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
    HTTPS="off",
    REDIS_URL="",
    PRIVATE_REDIS_DIR=tempfile.mkdtemp(prefix="shop-tests-"),
    SIMULATED_LATENCY_SECONDS="0",
)

from shop.settings import *

# The slow hash that protects people's passwords would only slow the tests.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
