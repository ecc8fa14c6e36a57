"""Entries are found and removed, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from instruments.visitors import get
from readcache.flushing import select, sweep
from readcache.inspection import stored_entries
from readcache.storage.current import store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("prefix", ["shop", "[shop]", "sh*p", "sh?p", "back\\slash"])
def test_a_key_prefix_is_not_a_pattern(prefix: str, settings: Settings, redis: Any) -> None:
    settings.CACHES = {**settings.CACHES, "read": {**settings.CACHES["read"], "KEY_PREFIX": prefix}}
    get("/authors/")
    # A key of another site, which matches the prefix if that is taken for a pattern.
    key_of_another_site = "ship:rc1:entry:author_list:http://testserver/authors/"
    store().client.set(key_of_another_site, "theirs")

    assert [entry.is_live for entry in stored_entries()] == [True]
    assert sweep(select(["author_list"])) == 1
    assert store().client.get(key_of_another_site) == b"theirs"
