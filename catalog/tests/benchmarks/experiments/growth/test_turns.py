from __future__ import annotations

import pytest

from catalog import textbook, views
from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.growth.products import PATH, Task, Turns, taking_turns
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import TEXTBOOK, UNCACHED
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

TASK = Task(database="elsewhere", products=1, strategies=["uncached", "textbook"], seed=0)


def test_a_process_refuses_to_fill_another_database_than_the_scratch_database() -> None:
    with (
        pytest.raises(BenchmarkError, match="must fill the database elsewhere, but it is connected to"),
        taking_turns(TASK),
    ):
        pass

    assert not Product.objects.exists()


def test_a_turn_times_each_strategy_the_same_number_of_times() -> None:
    ProductFactory.create_batch(3)
    turns = Turns(TASK, Requester())

    with isolated_cache():
        turn = turns.take()

    assert {what: {name: len(each) for name, each in times.items()} for what, times in turn.items()} == {
        "hit": {"uncached": 5, "textbook": 5},
        "miss": {"uncached": 1, "textbook": 1},
        "write": {"uncached": 2, "textbook": 2},
    }


def test_a_hit_that_runs_a_query_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ProductFactory.create_batch(3)
    monkeypatch.setattr(textbook.ProductListCreateAPIView, "list", views.ProductListCreateAPIView.list)

    with isolated_cache(), pytest.raises(BenchmarkError, match="textbook ran 3 queries to repeat /products/"):
        Turns(TASK, Requester()).take()


def test_a_save_is_timed_with_the_invalidation_of_its_strategy_only() -> None:
    ProductFactory.create_batch(3)
    requester = Requester()
    turns = Turns(TASK, requester)

    with isolated_cache():
        requester.ask(TEXTBOOK, PATH)
        turns._save(UNCACHED)
        assert requester.ask(TEXTBOOK, PATH).queries == 0
        turns._save(TEXTBOOK)
        assert requester.ask(TEXTBOOK, PATH).queries > 0
