import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from catalog.factories import ProductFactory
from catalog.models import Product
from readcache.inspection import stored_entry

pytestmark = pytest.mark.django_db(transaction=True)

LIST_KEY = "product_list:http://testserver/products/"


def inspect(*arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command("inspect_product_cache", *arguments, stdout=output, **options)
    return output.getvalue()


@pytest.fixture
def product(api: APIClient) -> Product:
    """A product whose list and categories are cached, the list dead since."""
    product: Product = ProductFactory.create(name="Old kettle")
    api.get("/products/")
    Product.objects.update(name="New kettle")
    api.get("/categories/")
    return product


def test_an_empty_cache_is_said_to_be_empty() -> None:
    assert inspect() == "The read cache is empty.\n"
    assert json.loads(inspect(format="json")) == []


@pytest.mark.usefixtures("product")
def test_the_table_tells_live_from_dead() -> None:
    rows = {line.split()[0]: line.split() for line in inspect().splitlines()[1:]}

    assert rows[f":rc1:entry:{LIST_KEY}"][1] == "dead"
    assert rows[":rc1:entry:category_list:http://testserver/categories/"][1] == "live"


@pytest.mark.usefixtures("product")
def test_a_key_is_in_one_piece_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    output = StringIO()
    monkeypatch.setattr(output, "isatty", lambda: True, raising=False)
    call_command("inspect_product_cache", stdout=output)
    lines = output.getvalue().splitlines()

    assert f":rc1:entry:{LIST_KEY}" in lines
    assert re.fullmatch(
        r"  dead, \d+ s old, \d+ s to live, [\d,]+ B stored, [\d,]+ B inflated",
        lines[lines.index(f":rc1:entry:{LIST_KEY}") + 1],
    )


@pytest.mark.usefixtures("product")
def test_json_has_sizes_times_and_tags(read_redis: Any) -> None:
    stored = stored_entry(LIST_KEY)
    assert stored is not None
    assert stored.entry is not None
    found = {each["key"]: each for each in json.loads(inspect(format="json"))}
    one = found[f":rc1:entry:{LIST_KEY}"]

    assert one["stored_bytes"] == len(read_redis.get(one["key"]))
    assert one["inflated_bytes"] == len(stored.entry.body)
    assert 0 <= one["age_seconds"] < 60
    assert 0 < one["ttl_seconds"] <= 900
    assert one["tags"] == ["catalog_category", "catalog_product", "catalog_product_tags", "catalog_tag"]


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize("key", [LIST_KEY, f":rc1:entry:{LIST_KEY}"])
def test_with_a_key_it_shows_the_body(key: str) -> None:
    assert json.loads(inspect(key))["results"][0]["name"] == "Old kettle"


def test_an_unknown_key_is_one_line() -> None:
    with pytest.raises(CommandError, match="KEY must be an entry of the read cache, got 'nope'"):
        inspect("nope")


def test_a_foreign_value_is_shown_as_foreign(read_redis: Any) -> None:
    read_redis.set(f":rc1:entry:{LIST_KEY}", b"not an entry")

    assert " foreign " in inspect()
    with pytest.raises(CommandError, match="KEY must be an entry"):
        inspect(LIST_KEY)


def test_an_unknown_format_is_refused_where_argparse_is_not_asked() -> None:
    with pytest.raises(CommandError, match="--format must be one of table, json, got 'foo'"):
        inspect(format="foo")
