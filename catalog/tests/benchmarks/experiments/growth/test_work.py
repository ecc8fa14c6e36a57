from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict

import pytest

from catalog import textbook, views
from catalog.benchmarks.clients.in_process import BenchmarkError, Requester
from catalog.benchmarks.experiments.growth.work import PATH, Task, Turns, work
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import TEXTBOOK, UNCACHED
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

TASK = Task(database="elsewhere", products=1, strategies=["uncached", "textbook"], seed=0)


def test_a_process_in_another_database_than_the_scratch_one_fills_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asdict(TASK)) + "\n"))

    with pytest.raises(BenchmarkError, match="must fill the database elsewhere, but it is connected to"):
        work()

    assert not Product.objects.exists()


def test_a_turn_times_each_strategy_alike() -> None:
    ProductFactory.create_batch(3)
    turns = Turns(TASK, Requester())

    with isolated_cache():
        turns.take()
        turns.take()

    counts = {what: {name: len(each) for name, each in times.items()} for what, times in turns.times.items()}
    assert counts == {
        "hit": {"uncached": 10, "textbook": 10},
        "miss": {"uncached": 2, "textbook": 2},
        "write": {"uncached": 4, "textbook": 4},
    }


def test_a_hit_that_runs_a_query_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ProductFactory.create_batch(3)
    monkeypatch.setattr(textbook.ProductListCreateAPIView, "list", views.ProductListCreateAPIView.list)

    with isolated_cache(), pytest.raises(BenchmarkError, match="textbook ran 3 queries to repeat /products/"):
        Turns(TASK, Requester()).take()


def test_a_save_is_timed_with_its_own_strategys_invalidation_only() -> None:
    ProductFactory.create_batch(3)
    requester = Requester()
    turns = Turns(TASK, requester)

    with isolated_cache():
        requester.ask(TEXTBOOK, PATH)
        turns._save(UNCACHED)
        assert requester.ask(TEXTBOOK, PATH).queries == 0
        turns._save(TEXTBOOK)
        assert requester.ask(TEXTBOOK, PATH).queries > 0
