"""A Redis of the test's own, which it may kill, and a reader in another process beside the test's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from instruments.processes import reader
from instruments.processes.process import Process
from instruments.reading import LEASE_SECONDS, Read
from instruments.scratch_redis import ScratchRedis, scratch_redis
from library.models import Author, Book

URL = "/books/"


@pytest.fixture
def server(settings: Settings) -> Iterator[ScratchRedis]:
    with scratch_redis() as server:
        settings.CACHES = {
            **settings.CACHES,
            "read": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url},
        }
        settings.READ_CACHE_LEASE_SECONDS = LEASE_SECONDS
        settings.READ_CACHE_LONGEST_WRITE_SECONDS = 60
        yield server


@pytest.fixture
def book(transactional_db: None) -> Book:
    author = Author.objects.create(name="Jane Austen", slug="jane-austen")
    return Book.objects.create(title="Old", price="10.00", copies=1, author=author)


@pytest.fixture
def variables(server: ScratchRedis) -> dict[str, str]:
    """Of the environment of other processes, which use the same Redis."""
    return {"LIBRARY_REDIS_URL": server.url, "LIBRARY_LEASE_SECONDS": str(LEASE_SECONDS)}


@pytest.fixture
def read() -> Read:
    """Asks for the list in this process: the Cache-Status without its name, and the first book's title."""
    client = Client(headers={"Accept": "application/json"})

    def ask() -> tuple[str, str]:
        response: Any = client.get(URL)
        return _status_and_title(response["Cache-Status"], response.content.decode())

    return ask


@pytest.fixture
def read_elsewhere(variables: dict[str, str], book: Book) -> Iterator[Read]:
    """The same in another process."""
    with Process(reader.read, **variables) as process:
        process.wait_for("ready")

        def ask() -> tuple[str, str]:
            answer = json.loads(process.ask(URL))
            return _status_and_title(answer["status"], answer["body"])

        yield ask


def _status_and_title(cache_status: str, body: str) -> tuple[str, str]:
    title: str = json.loads(body)["results"][0]["title"]
    return cache_status.partition("; ")[2], title
