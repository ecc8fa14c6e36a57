import re
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from catalog.models import Product
from catalog.seeding import SeedingPlan, SeedingResult, carry_out, seeded_products
from conftest import ROOT, Manage

pytestmark = pytest.mark.django_db


def seed(**options: Any) -> str:
    output = StringIO()
    call_command("seed_products", stdout=output, stderr=StringIO(), **options)
    return output.getvalue()


def test_seeding_is_reported_in_one_line() -> None:
    assert re.fullmatch(
        r"Added 30 products in \d+\.\d s \([\d,]+ per second\): "
        r"30 products of seed 0, 30 products in all\.\n",
        seed(count=30),
    )
    assert seed(count=30) == "Nothing to do: 30 products of seed 0, 30 products in all.\n"
    assert re.fullmatch(
        r"Added 0 products and removed 29 in .* 1 product of seed 0, 1 product in all\.\n",
        seed(count=1, no_input=True),
    )


def test_verbosity_zero_is_silent() -> None:
    assert seed(count=5, verbosity=0) == ""
    assert seeded_products().count() == 5


@pytest.mark.parametrize("options", [{"count": 10}, {"count": 30, "seed": 1}, {"count": 30, "clear": True}])
def test_seeding_asks_before_it_removes_products(options: dict[str, Any]) -> None:
    seed(count=30)
    before = set(Product.objects.values_list("pk", flat=True))

    with pytest.raises(CommandError, match=r"Remove \d+ seeded products from .* --no-input"):
        seed(**options)
    assert set(Product.objects.values_list("pk", flat=True)) == before

    seed(**options, no_input=True)
    assert seeded_products().count() == options["count"]


@pytest.mark.parametrize("variant", ["", "/textbook"])
def test_a_cached_list_shows_the_seeded_products(variant: str, api: APIClient) -> None:
    assert api.get(f"{variant}/products/").json()["count"] == 0
    assert api.get(f"{variant}/categories/").json()["count"] == 0

    seed(count=300)

    assert api.get(f"{variant}/products/").json()["count"] > 200
    assert api.get(f"{variant}/categories/").json()["count"] == 8


def test_interrupted_seeding_leaves_no_stale_page(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.get("/textbook/products/").json()["count"] == 0

    def interrupted(plan: SeedingPlan, **options: Any) -> SeedingResult:
        carry_out(plan, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr("catalog.management.commands.seed_products.carry_out", interrupted)
    with pytest.raises(KeyboardInterrupt):
        seed(count=30)

    assert api.get("/textbook/products/").json()["count"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": -1}, "--count must be at least 0, got -1."),
        ({"count": 10, "batch_size": 0}, "--batch-size must be at least 1, got 0."),
        ({"count": 10, "seed": -5}, "--seed must be at least 0, got -5."),
    ],
)
def test_invalid_options_end_with_exit_code_2(options: dict[str, int], message: str) -> None:
    with pytest.raises(CommandError) as raised:
        seed(**options)
    assert str(raised.value) == message
    assert raised.value.returncode == 2


def test_an_invalid_batch_size_is_refused_before_the_question() -> None:
    seed(count=30)

    with pytest.raises(CommandError, match="--batch-size must be at least 1, got 0"):
        seed(count=10, batch_size=0)


def test_the_summary_counts_the_products_in_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def undone(plan: SeedingPlan, **options: Any) -> SeedingResult:
        result = carry_out(plan, **options)
        seeded_products().filter(sku__endswith="7").delete()
        return result

    monkeypatch.setattr("catalog.management.commands.seed_products.carry_out", undone)

    assert seed(count=30).endswith(": 27 products of seed 0, 27 products in all.\n")


@pytest.mark.usefixtures("migrated")
def test_two_simultaneous_runs_add_each_product_once(manage_environment: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "seed_products", "--count", "3000", "--batch-size", "100"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=manage_environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert all(output.endswith(" 3,000 products in all.\n") for output in outputs), outputs
    added = [
        int(found[1].replace(",", ""))
        for each in outputs
        if (found := re.match(r"Added ([\d,]+) products?", each))
    ]
    assert sum(added) == 3000


def test_each_error_is_one_line_on_stderr(manage: Manage) -> None:
    for arguments, code, message in (
        (["--count", "-1"], 2, "--count must be at least 0, got -1."),
        (["--count", "many"], 2, "argument --count: invalid int value: 'many'"),
        (["--database", "nope"], 2, "The connection 'nope' doesn't exist. Known databases: default."),
        (["--bogus"], 2, "unrecognized arguments: --bogus"),
        ([], 1, "The database has no tables yet"),
    ):
        done = manage("seed_products", *arguments)
        assert done.returncode == code, done.stderr
        assert message in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_an_unreachable_database_is_reported_in_one_line_without_its_password(manage: Manage) -> None:
    done = manage("seed_products", DATABASE_URL="postgres://shop:s3cret@127.0.0.1:1/shop")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "127.0.0.1:1/shop" in done.stderr
    assert "DATABASE_URL" in done.stderr
    assert "s3cret" not in done.stderr
