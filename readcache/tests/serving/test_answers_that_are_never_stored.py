"""Requests for an answer that cannot be stored wait for nobody, however slow it is.

All times are a tenth of production's: a fill takes longer than the lock of its filler lives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import path
from pytest_django import Settings
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instruments.transactions import threads
from instruments.visitors import get, status
from instruments.waiting import PATIENCE_SECONDS
from library.models import Book
from readcache import CachedReadMixin, ReadCache
from readcache.storage import store as store_module
from readcache.storage.scripts import HIT_FOR_MISS
from readcache.storage.store import Store

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/greeting/"
REQUESTS = 8
FILL_SECONDS, LOCK_SECONDS, WAIT_SECONDS = 0.4, 0.3, 0.5


class Greeting(CachedReadMixin, APIView):
    """Reads nothing. With a cookie, its response cannot be stored."""

    permission_classes = [AllowAny]
    read_cache = ReadCache("greeting", depends_on=[Book], timeout=60)
    has_cookie = True
    meanwhile: Callable[[], object]

    def get(self, request: Request) -> Response:
        type(self).meanwhile()
        response = Response({"greeting": "hello"})
        if self.has_cookie:
            response.set_cookie("visitor", "new")
        return response


urlpatterns = [path("greeting/", Greeting.as_view())]


@pytest.fixture(autouse=True)
def _tenths(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ROOT_URLCONF = __name__
    settings.READ_CACHE_WAIT_SECONDS = WAIT_SECONDS
    monkeypatch.setattr(store_module, "LOCK_SECONDS", LOCK_SECONDS)
    monkeypatch.setattr(store_module, "HIT_FOR_MISS_SECONDS", LOCK_SECONDS / 3)
    monkeypatch.setattr(Greeting, "meanwhile", lambda: time.sleep(FILL_SECONDS), raising=False)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times at which a request looked whether another one's fill has ended."""
    seen: list[float] = []
    read_while_filled = Store.read_while_filled

    def look(*arguments: Any) -> Any:
        seen.append(time.monotonic())
        return read_while_filled(*arguments)

    monkeypatch.setattr(Store, "read_while_filled", look)
    return seen


def lock_key(redis: Any) -> bytes:
    [key] = redis.scan_iter(":rc1:lock:*")
    return bytes(key)


def ask() -> str:
    return status(get(URL))


def test_eight_at_once_compute_at_the_same_time(
    redis: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask() == "fwd=uri-miss"
    assert redis.get(lock_key(redis)) == HIT_FOR_MISS
    # Breaks if one of them waits for another.
    together = threading.Barrier(REQUESTS)
    monkeypatch.setattr(Greeting, "meanwhile", lambda: together.wait(PATIENCE_SECONDS))

    with threads(REQUESTS) as submit:
        answers = [future.result() for future in [submit(ask) for _ in range(REQUESTS)]]

    assert answers == ["fwd=uri-miss"] * REQUESTS
    assert waits == []


def test_each_further_answer_that_is_not_stored_renews_the_hit_for_miss(
    redis: Any, waits: list[float]
) -> None:
    """Otherwise the requests of one fill in ten would wait for it."""
    ask()
    redis.pexpire(lock_key(redis), 3_000)

    ask()

    assert redis.pttl(lock_key(redis)) > 3_000
    assert waits == []


def test_an_answer_that_is_stored_ends_the_hit_for_miss(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    monkeypatch.setattr(Greeting, "has_cookie", False)

    assert ask() == "fwd=uri-miss; stored"
    assert list(redis.scan_iter(":rc1:lock:*")) == []
    assert ask().startswith("hit")


def test_a_view_that_fails_leaves_the_hit_for_miss(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask()

    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Greeting, "meanwhile", fail)
    with pytest.raises(ZeroDivisionError):
        ask()

    assert redis.get(lock_key(redis)) == HIT_FOR_MISS


@pytest.mark.parametrize("left_behind", [HIT_FOR_MISS, b"of a killed filler"])
def test_nobody_waits_after_the_clock_of_redis_was_set_back_an_hour(
    left_behind: bytes, redis: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock or a hit-for-miss from before lives for an hour longer than it was given."""
    ask()
    monkeypatch.setattr(Greeting, "has_cookie", False)
    redis.set(lock_key(redis), left_behind, px=3_600_000)

    assert ask() == "fwd=uri-miss; stored"
    assert waits == []
    assert list(redis.scan_iter(":rc1:lock:*")) == []
