"""The strategies of the shop: which are chosen, and whose invalidation is connected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.models.signals import post_save

from catalog.benchmarks.strategies.registry import (
    STRATEGIES,
    TEXTBOOK,
    UNCACHED,
    Strategy,
    find_strategy,
    only_invalidation_of,
    select_strategies,
)
from catalog.models import Category, Product
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


class Hearing(Strategy):
    name = "hearing"

    @contextmanager
    def invalidation(self) -> Iterator[None]:
        post_save.connect(hear, sender=Category)
        try:
            yield
        finally:
            post_save.disconnect(hear, sender=Category)


def hear(**kwargs: Any) -> None: ...


def heard() -> tuple[bool, bool]:
    """Whether the textbook hears a product's save, and the other strategy a category's."""
    return post_save.has_listeners(Product), post_save.has_listeners(Category)


def test_only_one_strategys_invalidation_is_connected_at_a_time() -> None:
    hearing = Hearing()

    with only_invalidation_of(hearing):
        assert heard() == (False, True)
        # What is done within may do the same again.
        with only_invalidation_of(hearing):
            assert heard() == (False, True)
        assert heard() == (False, True)
    with only_invalidation_of(TEXTBOOK):
        assert heard() == (True, False)
        with only_invalidation_of(UNCACHED):
            assert heard() == (False, False)
        assert heard() == (True, False)
