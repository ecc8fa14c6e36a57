"""The writer's reports on its saves, tested in the process of the test."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.cache import caches
from django.db.models.signals import post_save

from catalog.benchmarks.experiments.outage.sites import product_of, save
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db


def test_a_writer_saves_the_stock_and_reports_how_long_it_took() -> None:
    product = ProductFactory.create(stock=1)
    before = time.monotonic()

    with product_of("readcache", product.pk) as saved:
        first, second = save(saved, stock=5), save(saved, stock=6)

    assert (first.error, second.error) == ("", "")
    assert 0 < first.seconds < second.ended - before
    assert before < first.ended < second.ended < time.monotonic()
    assert Product.objects.get().stock == 6


def test_a_save_that_fails_after_its_row_was_written_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    product = ProductFactory.create(stock=1)

    def fail(*arguments: Any) -> None:
        raise ConnectionError("Refused.")

    monkeypatch.setattr(caches["default"], "delete_pattern", fail, raising=False)

    with product_of("textbook", product.pk) as saved:
        assert save(saved, stock=5).error == "ConnectionError: Refused."
    # Only saves for the textbook run its receivers. They are connected again afterwards.
    with product_of("uncached", product.pk) as saved:
        assert save(saved, stock=6).error == ""
    assert post_save.has_listeners(Product)
    assert Product.objects.get().stock == 6
