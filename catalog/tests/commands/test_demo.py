import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from catalog.management.base import CatalogCommand
from catalog.models import Product
from catalog.seeding import seeded_products
from catalog.tests.conftest import SMALL_MANAGE
from conftest import Manage, run_manage
from readcache.testing import PrivateRedis

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_experiments")]


def demo(count: int = 30) -> str:
    output = StringIO()
    call_command("demo", count=count, requests=5, stdout=output, stderr=StringIO())
    return output.getvalue()


def test_demo_fills_the_catalogue_measures_creates_an_admin_and_lists_next_steps() -> None:
    output = demo()

    assert Product.objects.count() == 90
    # How much faster the hits are depends on the load of the machine.
    assert "textbook: a repeat request " in output
    assert "textbook: a page is STALE after 1 of 2 kinds of write" in output
    assert "readcache: the next answer shows each of 2 kinds of write, also in a race" in output
    assert "http://127.0.0.1:8000/textbook/products/" in output
    assert "make run" in output
    shown = re.search(r"user admin with the password (\S+) \(not stored\)", output)
    assert shown
    # The password is shown a second time, below the tables.
    _, next_steps = output.split("What to try next")
    assert f"admin, {shown[1]}\n" in next_steps
    assert max(map(len, next_steps.splitlines())) < 80
    user = User.objects.get(username="admin")
    assert user.is_superuser
    assert user.check_password(shown[1])


def test_a_second_run_changes_nothing() -> None:
    demo()
    Product.objects.filter(sku="KIT-0001").update(name="Edited by hand")
    Product.objects.filter(sku="KIT-0002").delete()
    password = User.objects.get(username="admin").password
    before = list(Product.objects.order_by("pk").values())

    output = demo()

    assert list(Product.objects.order_by("pk").values()) == before
    assert User.objects.get(username="admin").password == password
    assert "changepassword" in output
    assert "with the password" not in output


def test_demo_adds_products_and_removes_none() -> None:
    call_command("seed_products", count=20, seed=3, verbosity=0)
    demo(count=50)

    assert seeded_products().filter(sku__startswith="SEED-3-").count() == 20
    assert seeded_products().filter(sku__startswith="SEED-0-").count() == 50


def test_demo_stops_the_redis_that_it_started(manage: Manage, manage_environment: dict[str, str]) -> None:
    done = run_manage(["demo", "--count", "30", "--requests", "5"], manage_environment, program=SMALL_MANAGE)

    assert done.returncode == 0, done.stderr
    assert "is not running" in manage("private_redis", "status").stdout


def test_demo_leaves_a_redis_running_that_ran_before(private_redis: PrivateRedis) -> None:
    demo()

    assert private_redis.is_running()


@pytest.mark.parametrize(("there", "total"), [(0, 30), (20, 10)])
def test_the_progress_bar_counts_the_missing_products(
    there: int, total: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("seed_products", count=there, verbosity=0)
    totals: list[int] = []

    @contextmanager
    def noted(command: CatalogCommand, label: str, total: int, **options: Any) -> Iterator[Any]:
        if label == "Seeding":
            totals.append(total)
        yield lambda count: None

    monkeypatch.setattr(CatalogCommand, "progress", noted)
    demo()

    assert totals == [total]


@pytest.mark.parametrize("options", [{"count": "30"}, {"count": 10**20}, {"requests": 1.5}])
def test_an_invalid_number_of_products_or_requests_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match=rf"--{next(iter(options))} must be ") as raised:
        call_command("demo", **options)
    assert raised.value.returncode == 2


def test_zero_products_are_refused() -> None:
    with pytest.raises(CommandError, match="--count must be at least 1, got 0"):
        demo(count=0)
