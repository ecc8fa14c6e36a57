"""The choice of the shop's strategies, and the connection of their invalidation."""

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


def test_uncached_is_always_measured_first() -> None:
    assert names_of() == list(STRATEGIES) == ["uncached", "textbook", "builtin", "readcache"]
    assert names_of("readcache", "uncached", "readcache") == ["uncached", "readcache"]


def test_the_textbook_is_left_out_if_it_is_off(settings: Any) -> None:
    settings.TEXTBOOK = False

    assert names_of() == ["uncached", "builtin", "readcache"]
    with pytest.raises(InvalidOption, match="TEXTBOOK is off"):
        find_strategy("textbook")


def test_naming_the_textbook_is_an_error_if_it_is_off(manage: Manage) -> None:
    done = manage("bench_cache", "--strategy", "readcache", "--strategy", "textbook", TEXTBOOK="off")

    assert done.returncode == 2
    assert done.stderr == (
        "CommandError: --strategy textbook is not served because TEXTBOOK is off. Set TEXTBOOK=on.\n"
    )


class Listening(Strategy):
    name = "listening"

    @contextmanager
    def invalidation(self) -> Iterator[None]:
        post_save.connect(receive, sender=Category)
        try:
            yield
        finally:
            post_save.disconnect(receive, sender=Category)


def receive(**kwargs: Any) -> None: ...


def connected() -> tuple[bool, bool]:
    """Whether the textbook's receiver for products and the other strategy's for categories are connected."""
    return post_save.has_listeners(Product), post_save.has_listeners(Category)


def test_the_invalidation_of_only_one_strategy_is_connected_at_a_time() -> None:
    listening = Listening()

    with only_invalidation_of(listening):
        assert connected() == (False, True)
        # Nested calls for the same strategy keep it connected.
        with only_invalidation_of(listening):
            assert connected() == (False, True)
        assert connected() == (False, True)
    with only_invalidation_of(TEXTBOOK):
        assert connected() == (True, False)
        with only_invalidation_of(UNCACHED):
            assert connected() == (False, False)
        assert connected() == (True, False)
