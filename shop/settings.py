"""Every setting of the shop, read once from the environment and from ``.env`` beside ``manage.py``.

``.env.example`` lists the variables. The shop does not start with a missing or bad value; the message
names the variable.
"""

import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.log import DEFAULT_LOGGING
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from shop.env_file import read_env_file
from shop.environment import (
    is_set,
    next_database,
    read_bool,
    read_database,
    read_list,
    read_redis_url,
    read_seconds,
    read_text,
)

BASE_DIR = Path(__file__).resolve().parent.parent
read_env_file(BASE_DIR / ".env")

# Mode and secrets

# Whoever runs manage.py on a machine without a configured deployment is a developer who tries things
# out. gunicorn, a script, and every machine with a secret key are production.
_is_development = Path(sys.argv[0]).name == "manage.py" and not (
    is_set("SECRET_KEY") or is_set("ALLOWED_HOSTS")
)
DEBUG = read_bool("DEBUG", default=_is_development)

SECRET_KEY = read_text("SECRET_KEY")
ALLOWED_HOSTS = read_list("ALLOWED_HOSTS")
if DEBUG:
    SECRET_KEY = SECRET_KEY or "django-insecure-for-development-only"
else:
    if not SECRET_KEY:
        raise ImproperlyConfigured(
            "SECRET_KEY must be set when DEBUG is off. Make one with: "
            'python -c "import secrets; print(secrets.token_urlsafe(50))"'
        )
    if not ALLOWED_HOSTS:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS must name the hosts to serve when DEBUG is off, "
            "for example ALLOWED_HOSTS=shop.example.com,127.0.0.1"
        )

CSRF_TRUSTED_ORIGINS = read_list("CSRF_TRUSTED_ORIGINS")
if read_bool("HTTPS", default=False):
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
    # These two bind every other host of the domain, and browsers remember them: on request only.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = read_bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
    SECURE_HSTS_PRELOAD = read_bool("HSTS_PRELOAD", default=False)
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

# Applications

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Before staticfiles, so that runserver serves static files the way gunicorn does.
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    # Before rest_framework, whose browsable page it extends.
    "catalog",
    "readcache",
    "rest_framework",
    "django_filters",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
ASGI_APPLICATION = "shop.asgi.application"

TEMPLATES = [
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
    # A view without permission classes of its own is for admins only.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
}

# Database

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_database: dict[str, Any] = read_database("DATABASE_URL") or {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": BASE_DIR / "db.sqlite3",
}
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # A transaction takes the write lock at BEGIN, where it can wait for the lock. A transaction
        # that asks for it later fails at once with "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds
        # With WAL, readers go on while one writer writes. NORMAL is safe with WAL.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        # Options in the URL override these: sqlite:///shop.sqlite3?timeout=5
        **_database.get("OPTIONS", {}),
    }
else:
    _database = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True} | _database
DATABASES = {"default": _database}

# Simulates a slow database: each request to the API waits this long before its first query.
SIMULATED_LATENCY_SECONDS = read_seconds("SIMULATED_LATENCY_SECONDS", default=0, maximum=60)

# Redis

PRIVATE_REDIS_DIR = Path(read_text("PRIVATE_REDIS_DIR", default=str(BASE_DIR / ".redis")))
REDIS_URL = read_redis_url("REDIS_URL")

_redis_pool: dict[str, Any] = {
    # redis-py's default waits up to seconds between retries, in the middle of a request. One quick
    # retry replaces a connection that a restarted server has closed.
    "retry": Retry(ExponentialBackoff(cap=0.1, base=0.02), retries=1),
}
READ_REDIS_URL = read_redis_url("READ_REDIS_URL") or next_database(REDIS_URL)
USES_PRIVATE_REDIS = not REDIS_URL
if USES_PRIVATE_REDIS:
    if READ_REDIS_URL:
        raise ImproperlyConfigured(
            "READ_REDIS_URL must not be set without REDIS_URL: the private Redis serves both caches. "
            "Set REDIS_URL too, or unset READ_REDIS_URL."
        )
    from readcache.testing import PrivateRedisConnection
    from shop.private_redis import private_redis

    # The first connection that finds no server starts one.
    _private_redis = private_redis(PRIVATE_REDIS_DIR)
    REDIS_URL = _private_redis.url(database=1)
    READ_REDIS_URL = _private_redis.url(database=2)
    _redis_pool |= {"connection_class": PrivateRedisConnection, "server": _private_redis}

CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 1,
            "CONNECTION_POOL_KWARGS": _redis_pool,
        },
    },
    # The read cache has a database of its own. In the textbook's database, the textbook's delete_pattern
    # would delete the read cache's entries on every save and so hide its own faults.
    "read": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": READ_REDIS_URL,
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            # A hung Redis costs one request this long; then the breaker opens.
            "SOCKET_CONNECT_TIMEOUT": 0.25,
            "SOCKET_TIMEOUT": 0.25,
            "CONNECTION_POOL_KWARGS": _redis_pool
            # The retry replaces a connection that a restarted server has closed. After a time-out there is
            # no retry, because it would wait as long again.
            | {"retry": Retry(NoBackoff(), retries=1, supported_errors=(RedisConnectionError,))},
        },
    },
}

# How long an answer may be stale after a writer was killed between COMMIT and rotation. The lease must be
# longer than any COMMIT: otherwise the token expires and a reader creates the next one before COMMIT ends.
READ_CACHE_LEASE_SECONDS = read_seconds("READ_CACHE_LEASE_SECONDS", default=10, minimum=1, maximum=3600)
# What the header Cache-Status calls this cache.
READ_CACHE_NAME = "shop"

# Whether to serve /textbook/ and to connect its receivers, which cost every save.
TEXTBOOK = read_bool("TEXTBOOK", default=True)
if TEXTBOOK and READ_REDIS_URL == REDIS_URL:
    raise ImproperlyConfigured(
        "READ_REDIS_URL must not be REDIS_URL: the textbook's delete_pattern would remove the read cache's "
        "entries on every save. Name another database, or unset it for the next one of the same server."
    )

# Language and time

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# Files

STATIC_URL = "static/"
# Static files are served from the installed packages, without collectstatic.
WHITENOISE_USE_FINDERS = True
FIXTURE_DIRS = [BASE_DIR / "fixtures"]

# Tests

TEST_RUNNER = "shop.pytest_runner.PytestRunner"

# Accounts

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "/"

# Logging

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "django.server": DEFAULT_LOGGING["formatters"]["django.server"],
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "plain"},
        "django.server": DEFAULT_LOGGING["handlers"]["django.server"],
    },
    "loggers": {
        "catalog": {"handlers": ["stderr"], "level": "INFO"},
        # Outages of Redis, and views that read a table without declaring it.
        "readcache": {"handlers": ["stderr"], "level": "INFO"},
        # Without this handler Django would only mail its errors in production.
        "django": {"handlers": ["stderr"], "level": "ERROR"},
        # The line that runserver prints for each request. Configuring "django" removes its handler.
        "django.server": DEFAULT_LOGGING["loggers"]["django.server"],
    },
}
