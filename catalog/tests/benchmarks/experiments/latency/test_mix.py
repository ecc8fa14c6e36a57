from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from catalog.benchmarks.experiments.latency.mix import draw_mix
from catalog.factories import ProductFactory

pytestmark = pytest.mark.django_db


def test_the_mix_contains_only_pages_that_exist(api: APIClient) -> None:
    for number in range(25):
        ProductFactory.create(stock=number % 2)

    # The list shows the twelve products in stock, so it has no second page.
    paths = set(draw_mix(seed=0, requests=5_000))

    assert {path: api.get(f"/uncached{path}").status_code for path in paths} == dict.fromkeys(paths, 200)
    assert "/products/?page=1" in paths
    assert "/products/?page=2" not in paths


def test_the_same_seed_draws_the_same_mix(api: APIClient) -> None:
    for _ in range(30):
        ProductFactory.create()

    assert draw_mix(seed=1, requests=50) == draw_mix(seed=1, requests=50) != draw_mix(seed=2, requests=50)
