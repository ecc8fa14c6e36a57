"""Requests of a visitor, and how the cache took part in the answers."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.test import APIClient


def get(url: str) -> Any:
    """A visitor's answer, a 200."""
    answer = APIClient().get(url)
    assert answer.status_code == 200, answer.content
    return answer


def read(url: str) -> Any:
    """The JSON that a visitor is shown."""
    return get(url).json()


def status(answer: Any) -> str:
    """``Cache-Status`` without the name of the cache."""
    name, _, rest = answer["Cache-Status"].partition("; ")
    assert name == settings.READ_CACHE_NAME
    return str(rest)


def is_hit(answer: Any) -> bool:
    return status(answer).startswith("hit")


def uncached(url: str) -> str:
    """The URL of the same endpoint without a cache."""
    return f"/uncached{url}"


def warm(url: str) -> None:
    """Fill the page, and make sure that it is a hit."""
    get(url)
    assert is_hit(get(url))
