from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from conftest import Manage

pytestmark = pytest.mark.django_db


def flush(**options: Any) -> str:
    output = StringIO()
    call_command("flush_product_cache", stdout=output, **options)
    return output.getvalue()


def test_it_says_how_many_pages_and_how_long(redis: Any, api: APIClient) -> None:
    api.get("/products/")
    api.get("/products/stats/")
    api.get("/categories/")

    assert flush(dry_run=True).startswith("Would remove 2 cached pages (4 keys) in ")
    assert redis.dbsize() == 6
    assert flush(no_input=True).startswith("Removed 2 cached pages (4 keys) in ")
    assert redis.dbsize() == 2
    assert flush(no_input=True, prefix="category_list").startswith("Removed 1 cached pages (2 keys) in ")
    assert redis.dbsize() == 0


def test_it_asks_before_it_removes(redis: Any, api: APIClient) -> None:
    api.get("/products/")

    with pytest.raises(CommandError, match=r"Remove 1 cached pages \(.*product_list.*\)\? .*--no-input"):
        flush()
    assert redis.dbsize() == 2


def test_with_nothing_cached_there_is_nothing_to_ask() -> None:
    assert flush().startswith("Removed 0 cached pages (0 keys) in ")


def test_verbosity_zero_is_silent() -> None:
    assert flush(no_input=True, verbosity=0) == ""


def test_an_unreachable_redis_is_one_line_without_its_password(manage: Manage) -> None:
    done = manage("flush_product_cache", REDIS_URL="redis://:s3cret@127.0.0.1:1/1")

    assert done.returncode == 1
    assert done.stderr == (
        "CommandError: Cannot reach Redis at redis://:***@127.0.0.1:1/1. Start it with: "
        "docker compose up -d redis, or unset REDIS_URL to use the private one.\n"
    )


@pytest.mark.parametrize("arguments", [["--prefix", "*"], ["--prefix", ""], ["--cache", "nope"], ["--bogus"]])
def test_bad_options_end_with_the_code_for_usage(arguments: list[str], manage: Manage) -> None:
    done = manage("flush_product_cache", *arguments)

    assert done.returncode == 2
    assert arguments[0] in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
