"""What is stored is found and removed, and nothing else is."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from catalog.cached_pages import redis_client
from readcache.inspection import stored_entries, sweep

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("prefix", ["shop", "[shop]", "sh*p", "sh?p", "back\\slash"])
def test_a_key_prefix_is_taken_as_it_is(prefix: str, settings: Settings, redis: Any) -> None:
    settings.CACHES = deepcopy(settings.CACHES) | {"read": settings.CACHES["read"] | {"KEY_PREFIX": prefix}}
    APIClient().get("/categories/")
    # Another site's, which a pattern of the prefix would match.
    others = "ship:rc1:entry:category_list:http://testserver/categories/"
    redis_client("read").set(others, "theirs")

    assert [entry.is_live for entry in stored_entries()] == [True]
    assert sweep("category_list").entries == 1
    assert redis_client("read").get(others) == b"theirs"
