from __future__ import annotations

import shutil

import pytest
from django.db import connection

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.growth import products
from catalog.benchmarks.experiments.growth.databases import NoScratchDatabase
from catalog.benchmarks.experiments.growth.products import measure_products
from catalog.benchmarks.options import Effort, Options
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, UNCACHED
from catalog.tests.benchmarks.processes.services import failing

PLAN = Options(strategies=(UNCACHED, READ_CACHE), effort=Effort.QUICK)


@pytest.mark.django_db(transaction=True)
def test_a_process_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "taking_turns", failing)

    with isolated_cache(), pytest.raises(BenchmarkError, match=r"No more ink\."):
        measure_products(PLAN, [10])


def test_without_a_scratch_database_the_products_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise NoScratchDatabase("permission denied for database shop. Grant it.")

    monkeypatch.setattr(products, "scratch_database", refuse)

    found = measure_products(PLAN, [10])

    assert found.times == {}
    assert found.warnings[0].startswith("The growth with products was left out: ")
    assert found.warnings[0].endswith("permission denied for database shop. Grant it.")


def test_sizes_that_do_not_fit_on_the_disk_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    free = products.BYTES_PER_PRODUCT * 1_500
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2 * free, free, free))

    fitting, warnings = products._fitting([100, 1_000, 10_000, 100_000])

    assert fitting == [100, 1_000]
    assert warnings[0].startswith("10,000 products and more were left out: the temporary folder has 1.43 MiB")
