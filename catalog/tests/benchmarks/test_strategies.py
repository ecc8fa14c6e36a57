"""The strategies of the shop: which are chosen, and whose invalidation is connected."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models.signals import post_save

from catalog.benchmarks.strategies import (
    STRATEGIES,
    TEXTBOOK,
    UNCACHED,
    find_strategy,
    only_invalidation_of,
    select_strategies,
)
from catalog.models import Product
from catalog.options import InvalidOption
from conftest import Manage


def names_of(*chosen: str) -> list[str]:
    return [strategy.name for strategy in select_strategies(chosen)]


def test_uncached_comes_first_in_every_choice() -> None:
    assert names_of() == list(STRATEGIES) == ["uncached", "textbook", "builtin", "readcache"]
    assert names_of("readcache", "uncached", "readcache") == ["uncached", "readcache"]


def test_a_textbook_that_is_off_is_left_out(settings: Any) -> None:
    settings.TEXTBOOK = False

    assert names_of() == ["uncached", "builtin", "readcache"]
    with pytest.raises(InvalidOption, match="TEXTBOOK is off"):
        find_strategy("textbook")


def test_naming_a_textbook_that_is_off_is_an_error_that_says_so(manage: Manage) -> None:
    done = manage("bench_cache", "--strategy", "readcache", "--strategy", "textbook", TEXTBOOK="off")

    assert done.returncode == 2
    assert done.stderr == (
        "CommandError: --strategy textbook is not served, since TEXTBOOK is off. Set TEXTBOOK=on.\n"
    )


def test_within_itself_it_leaves_what_is_connected() -> None:
    def heard() -> Any:
        return post_save.has_listeners(Product)

    with only_invalidation_of(TEXTBOOK):
        with only_invalidation_of(TEXTBOOK):
            assert heard()
        assert heard()
        with only_invalidation_of(UNCACHED):
            assert not heard()
        assert heard()
