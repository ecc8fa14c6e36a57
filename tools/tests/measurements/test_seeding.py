"""Seeding is compared to a bare bulk_create without any trace in the catalogue."""

from __future__ import annotations

import pytest

from catalog.models import Category, Product, Tag
from tools.measurements.__main__ import main
from tools.measurements.seeding import from_json

pytestmark = pytest.mark.django_db


def test_seeding_is_compared_and_the_catalogue_stays_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seeding", "--count", "60", "--batch-size", "25", "--rounds", "2"]) == 0

    comparison = from_json(capsys.readouterr().out)
    assert (comparison.count, comparison.batch_size) == (60, 25)
    for name, median, least, most in comparison.rates():
        assert 0 < least <= median <= most, name
    assert comparison.verdict().startswith("Seeding is ")
    for model in (Product, Category, Tag):
        assert not model._default_manager.exists()


@pytest.mark.parametrize("option", ["--count", "--batch-size", "--rounds"])
def test_zero_is_refused_in_one_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seeding", option, "0"]) == 2
    assert capsys.readouterr().err == f"{option} must be at least 1, got 0.\n"
