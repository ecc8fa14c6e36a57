"""Writes with SQL that a program runs through a cursor."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from catalog.benchmarks.experiments.invalidation.writes.kinds import kind
from catalog.benchmarks.experiments.invalidation.writes.targets import Target


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
    """On PostgreSQL, the write is in the CTE, before a SELECT. On SQLite, a CTE precedes an UPDATE."""
    if connection.vendor == "postgresql":
        sql = (
            "WITH changed AS (UPDATE catalog_product SET name = %s WHERE id = %s RETURNING id) "
            "SELECT id FROM changed"
        )
    else:
        sql = (
            "WITH new (name) AS (VALUES (%s)) "
            "UPDATE catalog_product SET name = (SELECT name FROM new) WHERE id = %s"
        )
    _execute(sql, [target.new_name, target.product.pk])


@kind("list", "detail")
def cte_after_a_literal(target: Target) -> None:
    """The string literal looks like the start of a comment."""
    if connection.vendor == "postgresql":
        sql = (
            "WITH a AS (SELECT '--'), "
            "b AS (UPDATE catalog_product SET name = %s WHERE id = %s RETURNING id) SELECT 1"
        )
    else:
        sql = (
            "WITH a (dashes) AS (VALUES ('--')) "
            "UPDATE catalog_product SET name = %s || (SELECT dashes FROM a) WHERE id = %s"
        )
    _execute(sql, [target.new_name, target.product.pk])


@kind("list", "detail")
def upsert(target: Target) -> None:
    _execute(
        "INSERT INTO catalog_tag (name) VALUES (%s) ON CONFLICT (name) DO UPDATE SET name = %s",
        [target.tag.name, target.new_name],
    )
