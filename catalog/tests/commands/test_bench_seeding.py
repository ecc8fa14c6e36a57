from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Category, Product, Tag

pytestmark = pytest.mark.django_db


def test_it_compares_and_leaves_the_catalogue_as_it_was() -> None:
    output = StringIO()
    call_command("bench_seeding", count=60, batch_size=25, rounds=2, stdout=output)

    assert "Seeding is " in output.getvalue()
    assert output.getvalue().count("products/s") == 3
    assert not Product.objects.exists()
    assert not Category.objects.exists()
    assert not Tag.objects.exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [("count", 10**20), ("rounds", 10**6), ("batch_size", 10**6), ("count", "20"), ("rounds", 1.5)],
)
def test_what_no_machine_can_do_and_what_is_no_number_is_refused(option: str, value: Any) -> None:
    with pytest.raises(CommandError, match=f"--{option.replace('_', '-')} must be ") as raised:
        call_command("bench_seeding", **{option: value})
    assert raised.value.returncode == 2


@pytest.mark.parametrize("option", ["count", "batch_size", "rounds"])
def test_zero_is_refused(option: str) -> None:
    with pytest.raises(CommandError, match=r"must be at least 1, got 0\."):
        call_command("bench_seeding", **{option: 0})
