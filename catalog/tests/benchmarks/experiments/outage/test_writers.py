"""The writer's reports on its saves, tested in the process of the test."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.cache import caches
from django.db.models.signals import post_save

from catalog.benchmarks.experiments.outage.writers import writing
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db


def test_a_writer_saves_the_stock_and_reports_how_long_it_took() -> None:
    product = ProductFactory.create(stock=1)
    before = time.monotonic()

    with writing("readcache", product.pk) as writer:
        first, second = writer.save(stock=5), writer.save(stock=6)

    assert (first.error, second.error) == ("", "")
    assert 0 < first.seconds < second.ended - before
    assert before < first.ended < second.ended < time.monotonic()
    assert Product.objects.get().stock == 6


def test_a_save_that_fails_after_its_row_was_written_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    product = ProductFactory.create(stock=1)

    def fail(*arguments: Any) -> None:
        raise ConnectionError("Refused.")

    monkeypatch.setattr(caches["default"], "delete_pattern", fail, raising=False)

    with writing("textbook", product.pk) as writer:
        assert writer.save(stock=5).error == "ConnectionError: Refused."
    # Only saves for the textbook run its receivers. They are connected again afterwards.
    with writing("uncached", product.pk) as writer:
        assert writer.save(stock=6).error == ""
    assert post_save.has_listeners(Product)
    assert Product.objects.get().stock == 6
