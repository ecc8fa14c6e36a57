"""Writes with SQL, in the admin, through the API, from a fixture, and in another process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.forms import model_to_dict
from django.urls import reverse

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.invalidation.writes.kinds import Target, kind

# On PostgreSQL, the write is in the CTE, before a SELECT. On SQLite, a CTE precedes an UPDATE.
CTE = {
    "postgresql": (
        "WITH changed AS (UPDATE catalog_product SET name = %s WHERE id = %s RETURNING id) "
        "SELECT id FROM changed"
    ),
    "sqlite": (
        "WITH new (name) AS (VALUES (%s)) "
        "UPDATE catalog_product SET name = (SELECT name FROM new) WHERE id = %s"
    ),
}
# The string literal looks like the start of a comment.
CTE_AFTER_A_LITERAL = {
    "postgresql": (
        "WITH a AS (SELECT '--'), "
        "b AS (UPDATE catalog_product SET name = %s WHERE id = %s RETURNING id) SELECT 1"
    ),
    "sqlite": (
        "WITH a (dashes) AS (VALUES ('--')) "
        "UPDATE catalog_product SET name = %s || (SELECT dashes FROM a) WHERE id = %s"
    ),
}


def _execute(sql: str, parameters: Sequence[str | int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


@kind("list", "detail")
def raw_sql(target: Target) -> None:
    _execute("UPDATE catalog_product SET name = %s WHERE id = %s", [target.new_name, target.product.pk])


@kind("list", "detail")
def raw_sql_after_a_comment(target: Target) -> None:
    _execute(
        "/* SELECT */ -- SELECT\n UPDATE catalog_product SET name = %s WHERE id = %s",
        [target.new_name, target.product.pk],
    )


@kind("list", "detail")
def executemany(target: Target) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE catalog_product SET name = %s WHERE id = %s",
            [(target.new_name, product.pk) for product in target.products],
        )


@kind("list", "detail")
def cte(target: Target) -> None:
    _execute(CTE[connection.vendor], [target.new_name, target.product.pk])


@kind("list", "detail")
def cte_after_a_literal(target: Target) -> None:
    _execute(CTE_AFTER_A_LITERAL[connection.vendor], [target.new_name, target.product.pk])


@kind("list", "detail")
def upsert(target: Target) -> None:
    _execute(
        "INSERT INTO catalog_tag (name) VALUES (%s) ON CONFLICT (name) DO UPDATE SET name = %s",
        [target.tag.name, target.new_name],
    )


@kind("list", "detail")
def save_in_the_admin(target: Target) -> None:
    product = target.product
    form = model_to_dict(product, fields=["description", "price", "stock", "category"])
    url = reverse("admin:catalog_product_change", args=[product.pk])
    response = target.admin.post(url, {**form, "name": target.new_name, "tags": [target.tag.pk]})
    _require(response, 302)


@kind("list", "detail", "statistics", "category")
def delete_in_the_admin(target: Target) -> None:
    """With the action that deletes the selected rows of the list."""
    form = {"action": "delete_selected", "_selected_action": [target.product.pk], "post": "yes"}
    _require(target.admin.post(reverse("admin:catalog_product_changelist"), form), 302)


@kind("list", "detail")
def save_through_the_api(target: Target) -> None:
    """The request saves the product with its name, and then its tags."""
    changes = {"name": target.new_name, "tags": []}
    _require(target.admin.patch(f"/products/{target.product.pk}/", changes, "application/json"), 200)


@kind("list", "detail")
def loaddata(target: Target) -> None:
    [record] = json.loads(serializers.serialize("json", [target.product]))
    record["fields"]["name"] = target.new_name
    with TemporaryDirectory() as folder:
        fixture = Path(folder) / "products.json"
        fixture.write_text(json.dumps([record]))
        call_command("loaddata", fixture, verbosity=0)


@kind("list", "detail", is_elsewhere=True)
def second_process(target: Target) -> None:
    if target.process is None:
        raise BenchmarkError("This kind of write needs a second process.")
    target.process.rename(target.product.pk, target.new_name)


def _require(response: Any, status: int) -> None:
    if response.status_code != status:
        raise BenchmarkError(
            f"A write was answered {response.status_code}, not {status}: {response.content[:200]!r}"
        )
