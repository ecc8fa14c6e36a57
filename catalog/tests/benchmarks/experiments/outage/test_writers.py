"""What a writer's process says of its saves, without the process."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import pytest
from django.core.cache import caches
from django.db.models.signals import post_save

from catalog.benchmarks.experiments.outage import writers
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db


def reports(monkeypatch: pytest.MonkeyPatch, *words: str, orders: str) -> list[str]:
    spoken = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["-c", *words])
    monkeypatch.setattr(sys, "stdin", io.StringIO(orders))
    monkeypatch.setattr(sys, "stdout", spoken)
    writers.work()
    return spoken.getvalue().splitlines()


def test_it_saves_what_it_is_told_and_says_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    product = ProductFactory.create(stock=1)
    before = time.monotonic()

    ready, *saves = reports(monkeypatch, "readcache", str(product.pk), orders="5\n6\n")

    first, second = map(json.loads, saves)
    assert ready == "ready"
    assert (first["error"], second["error"]) == ("", "")
    assert 0 < first["seconds"] < second["ended"] - before
    assert before < first["ended"] < second["ended"] < time.monotonic()
    assert Product.objects.get().stock == 6


def test_a_save_that_fails_after_its_row_was_written_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    product = ProductFactory.create(stock=1)

    def fail(*arguments: Any) -> None:
        raise ConnectionError("Refused.")

    monkeypatch.setattr(caches["default"], "delete_pattern", fail, raising=False)

    _, failed = reports(monkeypatch, "textbook", str(product.pk), orders="5\n")
    _, fine = reports(monkeypatch, "uncached", str(product.pk), orders="6\n")

    assert json.loads(failed)["error"] == "ConnectionError: Refused."
    # Only the textbook's own saves run its receivers, which are connected again afterwards.
    assert json.loads(fine)["error"] == ""
    assert post_save.has_listeners(Product)
    assert Product.objects.get().stock == 6
