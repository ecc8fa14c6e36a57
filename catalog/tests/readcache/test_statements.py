"""What a statement is taken for: a write that passes for a read would leave old pages."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import Product, Tag
from readcache.invalidation import statements
from readcache.invalidation.statements import LONGEST_REMEMBERED, classify, every_table
from readcache.invalidation.watch import watch

PRODUCT, TAGS = "catalog_product", "catalog_product_tags"
CATEGORY, TAG = "catalog_category", "catalog_tag"
WRITE_VERBS = [
    "INSERT INTO",
    "INSERT OR REPLACE INTO",
    "UPDATE",
    "UPDATE ONLY",
    "DELETE FROM",
    "REPLACE INTO",
    "MERGE INTO",
    "TRUNCATE",
    "TRUNCATE TABLE",
    "COPY",
    "DROP TABLE",
    "ALTER TABLE",
    "CREATE TABLE",
]
UNRELATED_LIMIT_SECONDS = 2e-6
# A busy machine's median is within this factor of a quiet one's.
ROBUSTNESS = 3


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM catalog_product", {PRODUCT}),
        ("select * from catalog_product", {PRODUCT}),
        ("  \n\tSELECT 1", set()),
        (
            "SELECT * FROM catalog_product WHERE id IN (SELECT tag_id FROM catalog_product_tags)",
            {PRODUCT, TAGS},
        ),
        ("(SELECT id FROM catalog_tag) UNION (SELECT id FROM catalog_category)", {TAG, CATEGORY}),
        ("SELECT * FROM catalog_product FOR UPDATE", {PRODUCT}),
        ("SELECT * FROM catalog_product FOR NO KEY UPDATE SKIP LOCKED", {PRODUCT}),
        ("WITH cheap AS (SELECT * FROM catalog_product) SELECT * FROM cheap", {PRODUCT}),
        ("SELECT * FROM catalog_product;", {PRODUCT}),
        ("EXPLAIN SELECT * FROM catalog_product", {PRODUCT}),
        ("/* who asked */ SELECT * FROM catalog_product", {PRODUCT}),
        ("-- who asked\nSELECT * FROM catalog_product", {PRODUCT}),
        ("SELECT * FROM catalog_product /*route='/products/'*/", {PRODUCT}),
        ("VALUES (1), (2)", set()),
        ("PRAGMA foreign_keys = ON", set()),
        ("SAVEPOINT s1", set()),
        ("RELEASE SAVEPOINT s1", set()),
        ("ROLLBACK TO SAVEPOINT s1", set()),
        ("BEGIN IMMEDIATE", set()),
        ("SET TIME ZONE 'UTC'", set()),
    ],
)
def test_a_plain_read_only_reads_the_tables_it_names(sql: str, tables: set[str]) -> None:
    statement = classify(sql)

    assert statement.only_reads
    assert statement.tables == tables


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("INSERT INTO catalog_tag (name) VALUES (%s)", {TAG}),
        ("insert into catalog_tag (name) values (%s)", {TAG}),
        ("InSeRt InTo Catalog_Tag (name) VALUES (%s)", {TAG}),
        ("UPDATE catalog_product SET stock = stock - 1", {PRODUCT}),
        ("DELETE FROM catalog_product_tags", {TAGS}),
        ("REPLACE INTO catalog_tag (name) VALUES ('new')", {TAG}),
        ("INSERT INTO catalog_tag (name) VALUES ('new') ON CONFLICT (name) DO UPDATE SET name = 'x'", {TAG}),
        ("INSERT INTO catalog_tag (name) SELECT name FROM catalog_category", {TAG, CATEGORY}),
        (
            "MERGE INTO catalog_tag USING catalog_category ON true WHEN MATCHED THEN DELETE",
            {TAG, CATEGORY},
        ),
        ("WITH new AS (INSERT INTO catalog_tag (name) VALUES ('x') RETURNING id) SELECT * FROM new", {TAG}),
        ("WITH gone AS (DELETE FROM catalog_tag RETURNING id) SELECT * FROM gone", {TAG}),
        ("WITH x AS (SELECT 1 AS n) INSERT INTO catalog_tag (name) SELECT n FROM x", {TAG}),
        ("with x as (select 1 as n) update catalog_product set stock = 1", {PRODUCT}),
        ("SELECT id, name INTO catalog_tag FROM catalog_category", {TAG, CATEGORY}),
        ("EXPLAIN ANALYZE DELETE FROM catalog_tag", {TAG}),
        ("EXPLAIN (ANALYZE, FORMAT JSON) UPDATE catalog_tag SET name = 'x'", {TAG}),
        ("SELECT 1; DELETE FROM catalog_tag", {TAG}),
        ("SELECT 1; COPY catalog_tag FROM STDIN", {TAG}),
        ("BEGIN; UPDATE catalog_tag SET name = 'x'; COMMIT", {TAG}),
        (
            "WITH x AS (SELECT * FROM catalog_tag FOR UPDATE) UPDATE catalog_product SET x = 1",
            {TAG, PRODUCT},
        ),
        ("/* SELECT */ DELETE FROM catalog_tag", {TAG}),
        ("-- SELECT\nDELETE FROM catalog_tag", {TAG}),
        ("/* SELECT\n * FROM x */\n-- SELECT\n DELETE FROM catalog_tag", {TAG}),
        ("DELETE/**/FROM/**/catalog_tag", {TAG}),
        ("COPY catalog_tag FROM STDIN", {TAG}),
        ("ALTER TABLE catalog_tag ADD COLUMN colour text", {TAG}),
        ("DO $$ BEGIN UPDATE catalog_tag SET name = 'x'; END $$", {TAG}),
        ("TRUNCATE catalog_tag", {TAG}),
    ],
)
def test_a_write_never_passes_for_a_read_and_names_its_tables(sql: str, tables: set[str]) -> None:
    statement = classify(sql)

    assert not statement.only_reads
    assert statement.tables == tables


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT '--' AS x), gone AS (DELETE FROM catalog_tag RETURNING id) SELECT * FROM gone",
        "WITH a AS (SELECT '/*' AS x), gone AS (DELETE FROM catalog_tag RETURNING '*/') SELECT * FROM gone",
        'WITH a AS (SELECT 1 AS "--"), gone AS (DELETE FROM catalog_tag RETURNING id) SELECT * FROM gone',
        "WITH a AS (SELECT $$--$$ AS x), gone AS (DELETE FROM catalog_tag RETURNING id) SELECT * FROM gone",
    ],
)
def test_a_literal_that_looks_like_a_comment_hides_no_write(sql: str) -> None:
    assert not classify(sql).only_reads


@pytest.mark.parametrize(
    "name",
    [
        "catalog_product",
        '"catalog_product"',
        "`catalog_product`",
        "[catalog_product]",
        "public.catalog_product",
        '"public"."catalog_product"',
        "main.catalog_product",
        "CATALOG_PRODUCT",
        "(catalog_product)",
        "catalog_product/* the products */",
    ],
)
@pytest.mark.parametrize("verb", ["UPDATE", "SELECT * FROM"])
def test_a_table_is_found_however_its_name_is_written(name: str, verb: str) -> None:
    assert classify(f"{verb} {name} ").tables == {PRODUCT}


@pytest.mark.parametrize(
    "sql", ["UPDATE t SET x = 'auth_permi\u017f\u017fion'", "SELECT 'd\u0131ango_s\u0131te'"]
)
def test_letters_that_are_one_without_regard_to_case_are_no_error(sql: str) -> None:
    assert isinstance(classify(sql).tables, frozenset)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[type[Any], str], None]]:
    """Gives a model's table another name."""

    def forget() -> None:
        for remembered in (statements.known_tables, statements.every_table, statements._table_pattern):
            remembered.cache_clear()
        statements._cascades.cache_clear()
        statements._classify_once.cache_clear()

    def name(model: type[Any], table: str) -> None:
        monkeypatch.setattr(model._meta, "db_table", table)
        forget()

    yield name
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("name", ['shelf"."product', '"shelf"."product"'])
@pytest.mark.parametrize("sql", ['UPDATE "shelf"."product"', "UPDATE shelf.product", "UPDATE Product"])
def test_a_table_that_is_declared_with_its_schema_is_found(name: str, sql: str, named: Any) -> None:
    named(Product, name)

    assert classify(f"{sql} SET name = ''").tables == {name}


def test_tables_whose_names_differ_in_case_are_both_meant(named: Any) -> None:
    named(Product, "Shelf")
    named(Tag, "shelf")

    assert classify('UPDATE "Shelf" SET name = 1').tables == {"Shelf", "shelf"}


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("catalog_product_tags", {TAGS}),
        ("catalog_products", set()),
        ("old_catalog_product", set()),
        ("catalog_product2", set()),
        ("catalog_product_id_seq", set()),
        ("catalog_product, catalog_product_tags", {PRODUCT, TAGS}),
    ],
)
def test_a_similar_name_is_another_table(name: str, tables: set[str]) -> None:
    assert classify(f"UPDATE {name} SET x = 1").tables == tables


@pytest.mark.parametrize(
    "sql", ["TRUNCATE catalog_tag CASCADE", "truncate auth_user cascade", "DROP TABLE nobody_knows CASCADE"]
)
def test_a_cascade_reaches_every_table(sql: str) -> None:
    statement = classify(sql)

    assert not statement.only_reads
    assert statement.tables == every_table()


@pytest.mark.parametrize("word", ["update", "DELETE", "insert into", "replace"])
def test_a_read_with_a_writing_word_in_a_literal_may_count_as_a_write_but_keeps_its_tables(word: str) -> None:
    assert classify(f"SELECT * FROM catalog_tag WHERE name = '{word}'").tables == {TAG}


@pytest.mark.parametrize("name", ["updated_at", "deleted", "inserted_by", "last_update", "replacement"])
def test_a_column_with_a_writing_word_in_its_name_is_read(name: str) -> None:
    assert classify(f'SELECT "{name}" FROM catalog_tag').only_reads


def test_a_statement_that_is_too_long_to_remember_is_told_the_same() -> None:
    rows = ", ".join(["(%s)"] * LONGEST_REMEMBERED)
    ids = ", ".join(["%s"] * LONGEST_REMEMBERED)

    written = classify(f"INSERT INTO catalog_tag (name) VALUES {rows}")
    read = classify(f"SELECT * FROM catalog_tag WHERE id IN ({ids})")

    assert not written.only_reads
    assert read.only_reads
    assert written.tables == read.tables == {TAG}


def mixed_case(text: str) -> st.SearchStrategy[str]:
    flips = st.lists(st.booleans(), min_size=len(text), max_size=len(text))
    return flips.map(
        lambda chosen: "".join(
            letter.swapcase() if flip else letter for letter, flip in zip(text, chosen, strict=True)
        )
    )


TABLES = st.sampled_from(sorted(every_table()))
VERBS = st.sampled_from(WRITE_VERBS).flatmap(mixed_case)
BLANKS = st.sampled_from(["", " ", "\n", "\t ", "/* SELECT */", "-- SELECT\n", "/*-- SELECT\n*/ "])
QUOTES = st.sampled_from(["{}", '"{}"', "`{}`", '"public"."{}"', "main.{}"])
PIECES = st.sampled_from(
    ["SELECT", "'--'", "'/*'", "*/", "--", "/*", "\n", ";", "'", '"', "FOR UPDATE", "(", ")", "%s", "x"]
)
TAILS = st.lists(PIECES | st.text(max_size=8), max_size=12).map(" ".join)


@given(blank=BLANKS, verb=VERBS, quote=QUOTES, table=TABLES, tail=TAILS)
def test_whatever_starts_with_a_write_verb_and_names_a_table_is_a_write_to_it(
    blank: str, verb: str, quote: str, table: str, tail: str
) -> None:
    statement = classify(f"{blank}{verb} {quote.format(table)} {tail}")

    assert not statement.only_reads
    assert table in statement.tables


@given(
    before=st.lists(st.sampled_from(["'--'", "'/*'", "'*/'", '"--"', "$$--$$", "1", "'it''s'"]), max_size=4),
    verb=st.sampled_from(["INSERT INTO", "UPDATE", "DELETE FROM", "MERGE INTO"]).flatmap(mixed_case),
    table=TABLES,
    after=st.sampled_from(["", "'*/'", "'--'"]),
)
def test_whatever_a_cte_selects_first_its_write_is_seen(
    before: list[str], verb: str, table: str, after: str
) -> None:
    selected = ", ".join(["0", *before])
    sql = f"WITH a AS (SELECT {selected}), b AS ({verb} {table} {after}) SELECT * FROM b"

    assert not classify(sql).only_reads


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM django_content_type WHERE app_label = %s",
        "UPDATE django_session SET expire_date = %s WHERE session_key = %s",
    ],
)
def test_a_remembered_statement_of_no_tagged_table_costs_two_microseconds(sql: str) -> None:
    connection.ensure_connection()
    watched = watch(connection)

    def execute(sql: str, params: object, many: bool, context: object) -> None:
        """What the database does is not counted."""

    def run_watched() -> None:
        watched(execute, sql, (), False, {})

    def run_bare() -> None:
        execute(sql, (), False, {})

    number = 2_000
    with_watch, without = (
        # The least: whatever is more is what else the machine did meanwhile.
        min(timeit.repeat(run, number=number, repeat=15)) / number
        for run in (run_watched, run_bare)
    )

    assert with_watch - without <= UNRELATED_LIMIT_SECONDS * ROBUSTNESS
