"""How statements are classified. A write classified as a read would leave stale entries."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models import deletion
from hypothesis import given
from hypothesis import strategies as st

from library.models import Book, Topic
from readcache.invalidation import statements
from readcache.invalidation.statements import LONGEST_REMEMBERED, classify, vocabulary
from readcache.invalidation.watch import watch

BOOK, BOOK_TOPICS = "library_book", "library_book_topics"
AUTHOR, TOPIC = "library_author", "library_topic"
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
# On a busy machine the median is at most this many times as long.
ROBUSTNESS = 3


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM library_book", {BOOK}),
        ("select * from library_book", {BOOK}),
        ("  \n\tSELECT 1", set()),
        (
            "SELECT * FROM library_book WHERE id IN (SELECT topic_id FROM library_book_topics)",
            {BOOK, BOOK_TOPICS},
        ),
        ("(SELECT id FROM library_topic) UNION (SELECT id FROM library_author)", {TOPIC, AUTHOR}),
        ("SELECT * FROM library_book FOR UPDATE", {BOOK}),
        ("SELECT * FROM library_book FOR NO KEY UPDATE SKIP LOCKED", {BOOK}),
        ("WITH cheap AS (SELECT * FROM library_book) SELECT * FROM cheap", {BOOK}),
        ("SELECT * FROM library_book;", {BOOK}),
        ("EXPLAIN SELECT * FROM library_book", {BOOK}),
        ("/* who asked */ SELECT * FROM library_book", {BOOK}),
        ("-- who asked\nSELECT * FROM library_book", {BOOK}),
        ("SELECT * FROM library_book /*route='/books/'*/", {BOOK}),
        ("VALUES (1), (2)", set()),
        ("PRAGMA foreign_keys = ON", set()),
        ("SAVEPOINT s1", set()),
        ("RELEASE SAVEPOINT s1", set()),
        ("ROLLBACK TO SAVEPOINT s1", set()),
        ("BEGIN IMMEDIATE", set()),
        ("SET TIME ZONE 'UTC'", set()),
    ],
)
def test_a_read_only_reads_the_tables_that_it_names(sql: str, tables: set[str]) -> None:
    statement = classify(sql)

    assert statement.only_reads
    assert statement.tables == tables


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("INSERT INTO library_topic (name) VALUES (%s)", {TOPIC}),
        ("insert into library_topic (name) values (%s)", {TOPIC}),
        ("InSeRt InTo Library_Topic (name) VALUES (%s)", {TOPIC}),
        ("UPDATE library_book SET copies = copies - 1", {BOOK}),
        ("DELETE FROM library_book_topics", {BOOK_TOPICS}),
        ("REPLACE INTO library_topic (name) VALUES ('new')", {TOPIC}),
        (
            "INSERT INTO library_topic (name) VALUES ('new') ON CONFLICT (name) DO UPDATE SET name = 'x'",
            {TOPIC},
        ),
        ("INSERT INTO library_topic (name) SELECT name FROM library_author", {TOPIC, AUTHOR}),
        (
            "MERGE INTO library_topic USING library_author ON true WHEN MATCHED THEN DELETE",
            {TOPIC, AUTHOR},
        ),
        (
            "WITH new AS (INSERT INTO library_topic (name) VALUES ('x') RETURNING id) SELECT * FROM new",
            {TOPIC},
        ),
        ("WITH gone AS (DELETE FROM library_topic RETURNING id) SELECT * FROM gone", {TOPIC}),
        ("WITH x AS (SELECT 1 AS n) INSERT INTO library_topic (name) SELECT n FROM x", {TOPIC}),
        ("with x as (select 1 as n) update library_book set copies = 1", {BOOK}),
        ("SELECT id, name INTO library_topic FROM library_author", {TOPIC, AUTHOR}),
        ("EXPLAIN ANALYZE DELETE FROM library_topic", {TOPIC}),
        ("EXPLAIN (ANALYZE, FORMAT JSON) UPDATE library_topic SET name = 'x'", {TOPIC}),
        ("SELECT 1; DELETE FROM library_topic", {TOPIC}),
        ("SELECT 1; COPY library_topic FROM STDIN", {TOPIC}),
        ("BEGIN; UPDATE library_topic SET name = 'x'; COMMIT", {TOPIC}),
        (
            "WITH x AS (SELECT * FROM library_topic FOR UPDATE) UPDATE library_book SET x = 1",
            {TOPIC, BOOK},
        ),
        ("/* SELECT */ DELETE FROM library_topic", {TOPIC}),
        ("-- SELECT\nDELETE FROM library_topic", {TOPIC}),
        ("/* SELECT\n * FROM x */\n-- SELECT\n DELETE FROM library_topic", {TOPIC}),
        ("DELETE/**/FROM/**/library_topic", {TOPIC}),
        ("COPY library_topic FROM STDIN", {TOPIC}),
        ("ALTER TABLE library_topic ADD COLUMN colour text", {TOPIC}),
        ("TRUNCATE library_topic", {TOPIC}),
    ],
)
def test_a_write_is_not_a_read_and_has_the_tables_that_it_names(sql: str, tables: set[str]) -> None:
    statement = classify(sql)

    assert not statement.only_reads
    assert statement.tables == tables


@pytest.mark.parametrize(
    "sql",
    [
        "DO $$ BEGIN UPDATE library_topic SET name = 'x'; END $$",
        "DO $$ BEGIN EXECUTE 'UPDATE library_' || 'topic SET name = 1'; END $$",
        "CALL rename_every_book()",
        "execute prepared_earlier",
        "/* nightly */ CALL rename_every_book()",
    ],
)
def test_code_of_the_database_may_write_every_table(sql: str) -> None:
    statement = classify(sql)

    assert not statement.only_reads
    assert statement.tables == vocabulary().every_table


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT REPLACE(name, 'a', 'b') FROM library_topic",
        "SELECT replace (name, 'a', 'b') FROM library_topic",
    ],
)
def test_the_function_replace_only_reads(sql: str) -> None:
    assert classify(sql).only_reads


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT '--' AS x), gone AS (DELETE FROM library_topic RETURNING id) SELECT * FROM gone",
        "WITH a AS (SELECT '/*' AS x), gone AS (DELETE FROM library_topic RETURNING '*/') SELECT * FROM gone",
        'WITH a AS (SELECT 1 AS "--"), gone AS (DELETE FROM library_topic RETURNING id) SELECT * FROM gone',
        "WITH a AS (SELECT $$--$$ AS x), gone AS (DELETE FROM library_topic RETURNING id) SELECT * FROM gone",
    ],
)
def test_a_literal_that_looks_like_a_comment_does_not_hide_a_write(sql: str) -> None:
    assert not classify(sql).only_reads


@pytest.mark.parametrize(
    "name",
    [
        "library_book",
        '"library_book"',
        "`library_book`",
        "[library_book]",
        "public.library_book",
        '"public"."library_book"',
        "main.library_book",
        "LIBRARY_BOOK",
        "(library_book)",
        "library_book/* the books */",
    ],
)
@pytest.mark.parametrize("verb", ["UPDATE", "SELECT * FROM"])
def test_a_table_is_found_however_its_name_is_written(name: str, verb: str) -> None:
    assert classify(f"{verb} {name} ").tables == {BOOK}


@pytest.mark.parametrize("name", ["auth_permi\u017f\u017fion", "django_\u017fe\u017f\u017f\u0131on"])
def test_letters_that_lower_case_differently_may_mean_any_table(name: str) -> None:
    """Regular expressions that ignore case take such letters for equal."""
    assert classify(f"SELECT '{name}'").tables == vocabulary().every_table


@pytest.fixture
def forget() -> Iterator[Callable[[], None]]:
    """Makes the engine read the models again. Called at the end of the test too."""

    def forget() -> None:
        statements._latest[0] = statements.Vocabulary((), frozenset())

    yield forget
    forget()


@pytest.fixture
def named(forget: Callable[[], None]) -> Iterator[Callable[[type[Any], str], None]]:
    """Gives a model's table another name."""
    with pytest.MonkeyPatch.context() as patch:

        def name(model: type[Any], table: str) -> None:
            patch.setattr(model._meta, "db_table", table)
            forget()

        yield name


@pytest.mark.parametrize("name", ['shelf"."book', '"shelf"."book"'])
@pytest.mark.parametrize("sql", ['UPDATE "shelf"."book"', "UPDATE shelf.book", "UPDATE Book"])
def test_a_table_whose_model_names_its_schema_is_found(name: str, sql: str, named: Any) -> None:
    named(Book, name)

    assert classify(f"{sql} SET name = ''").tables == {name}


def test_tables_whose_names_differ_only_in_case_are_both_found(named: Any) -> None:
    named(Book, "Shelf")
    named(Topic, "shelf")

    assert classify('UPDATE "Shelf" SET name = 1').tables == {"Shelf", "shelf"}


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("library_book_topics", {BOOK_TOPICS}),
        ("library_books", set()),
        ("old_library_book", set()),
        ("library_book2", set()),
        ("library_book_id_seq", set()),
        ("library_book, library_book_topics", {BOOK, BOOK_TOPICS}),
    ],
)
def test_a_similar_name_is_another_table(name: str, tables: set[str]) -> None:
    assert classify(f"UPDATE {name} SET x = 1").tables == tables


@pytest.fixture
def late_model() -> Iterator[type[models.Model]]:
    """A model that is defined after the first statement."""
    classify("SELECT 1")

    class Late(models.Model):
        class Meta:
            app_label = "library"

        def __str__(self) -> str:
            return "late"

    yield Late
    del apps.all_models["library"]["late"]
    apps.clear_cache()


def test_a_model_that_is_defined_late_is_known(late_model: type[models.Model]) -> None:
    assert classify("UPDATE library_late SET id = 1").tables == {"library_late"}


def test_a_model_that_is_gone_is_forgotten() -> None:
    assert classify("UPDATE library_late SET id = 1").tables == set()


def test_a_table_of_no_model_that_another_process_declares_is_known() -> None:
    sql = 'UPDATE "shelf"."of_tomorrow" SET id = 1'

    assert classify(sql).tables == set()
    assert classify(sql, frozenset({"of_tomorrow"})).tables == {"of_tomorrow"}
    assert "of_tomorrow" in classify("CALL tidy_up()", frozenset({"of_tomorrow"})).tables


@pytest.mark.parametrize("sql", ["COMMIT PREPARED 'x'", "/* why */ commit  prepared 'x'", "XA COMMIT 'x'"])
def test_the_second_half_of_a_two_phase_commit_may_write_every_table(sql: str) -> None:
    statement = classify(sql)

    assert not statement.only_reads
    assert statement.tables == vocabulary().every_table


@pytest.mark.parametrize(
    "sql", ["TRUNCATE library_topic CASCADE", "truncate auth_user cascade", "DROP TABLE nobody_knows CASCADE"]
)
def test_the_word_cascade_reaches_every_table(sql: str) -> None:
    statement = classify(sql)

    assert not statement.only_reads
    assert statement.tables == vocabulary().every_table


@pytest.fixture
def database_cascades(forget: Callable[[], None]) -> Iterator[None]:
    """The database itself deletes the books of a deleted author, and with them their rows of topics.

    Django knows such fields from 6.1.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not hasattr(deletion, "DatabaseOnDelete"):
            on_delete: Any = type("DatabaseOnDelete", (), {})
            patch.setattr(deletion, "DatabaseOnDelete", on_delete, raising=False)
            patch.setattr(deletion, "DB_CASCADE", on_delete(), raising=False)
        for model, name in ((Book, "author"), (Book.topics.through, "book")):
            field: Any = model._meta.get_field(name)
            patch.setattr(field.remote_field, "on_delete", deletion.DB_CASCADE)
        forget()
        yield


@pytest.mark.usefixtures("database_cascades")
@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("DELETE FROM library_author", {AUTHOR, BOOK, BOOK_TOPICS}),
        ("DELETE FROM library_book", {BOOK, BOOK_TOPICS}),
        # Django itself deletes the rows that join topics to books.
        ("DELETE FROM library_topic", {TOPIC}),
        ("SELECT * FROM library_author", {AUTHOR}),
    ],
)
def test_a_write_reaches_the_tables_to_which_the_database_cascades(sql: str, tables: set[str]) -> None:
    assert classify(sql).tables == tables


@pytest.mark.parametrize("table", [AUTHOR, BOOK, TOPIC])
def test_without_cascades_of_the_database_a_write_reaches_no_other_table(table: str) -> None:
    assert classify(f"DELETE FROM {table}").tables == {table}


@pytest.mark.parametrize(
    ("sql", "control"),
    [
        ("BEGIN", "BEGIN"),
        ("begin immediate", "BEGIN"),
        ("START TRANSACTION READ WRITE", "BEGIN"),
        ("COMMIT", "COMMIT"),
        (" commit and chain;", "COMMIT"),
        ("END TRANSACTION", "COMMIT"),
        ("/* why */ COMMIT", "COMMIT"),
        ("ROLLBACK", "ROLLBACK"),
        ("ROLLBACK WORK", "ROLLBACK"),
        ("ROLLBACK TO s1", ""),
        ("rollback transaction to savepoint s1", ""),
        ("COMMIT WORK", "COMMIT"),
        ("-- why\nCOMMIT -- now", "COMMIT"),
        ("COMMIT PREPARED 'x'", ""),
        ("ROLLBACK PREPARED 'x'", ""),
        ("PREPARE TRANSACTION 'x'", ""),
        ("UPDATE library_book SET title = 'x'; COMMIT", "SCRIPT"),
        ("BEGIN; UPDATE library_book SET title = 'x'; end", "SCRIPT"),
        ("COMMIT; BEGIN", "SCRIPT"),
        ("SELECT 1; UPDATE library_book SET title = 'x'", ""),
        ("SELECT CASE WHEN true THEN 1 END", ""),
        ("SAVEPOINT s1", "SAVEPOINT"),
        ("RELEASE SAVEPOINT s1", "RELEASE"),
        ("release s1", "RELEASE"),
        ("SELECT 1", ""),
        ("SELECT 'COMMIT'", ""),
        ("UPDATE library_book SET title = 'BEGIN'", ""),
    ],
)
def test_statements_that_control_a_transaction_are_known(sql: str, control: str) -> None:
    assert classify(sql).control == control


@pytest.mark.parametrize("word", ["update", "DELETE", "insert into", "replace"])
def test_a_read_with_a_writing_word_in_a_literal_keeps_its_tables(word: str) -> None:
    assert classify(f"SELECT * FROM library_topic WHERE name = '{word}'").tables == {TOPIC}


@pytest.mark.parametrize("name", ["updated_at", "deleted", "inserted_by", "last_update", "replacement"])
def test_a_column_with_a_writing_word_in_its_name_is_read(name: str) -> None:
    assert classify(f'SELECT "{name}" FROM library_topic').only_reads


def test_a_statement_too_long_to_remember_is_classified_alike() -> None:
    rows = ", ".join(["(%s)"] * LONGEST_REMEMBERED)
    ids = ", ".join(["%s"] * LONGEST_REMEMBERED)

    written = classify(f"INSERT INTO library_topic (name) VALUES {rows}")
    read = classify(f"SELECT * FROM library_topic WHERE id IN ({ids})")

    assert not written.only_reads
    assert read.only_reads
    assert written.tables == read.tables == {TOPIC}


def mixed_case(text: str) -> st.SearchStrategy[str]:
    flips = st.lists(st.booleans(), min_size=len(text), max_size=len(text))
    return flips.map(
        lambda chosen: "".join(
            letter.swapcase() if flip else letter for letter, flip in zip(text, chosen, strict=True)
        )
    )


TABLES = st.sampled_from(sorted(vocabulary().every_table))
VERBS = st.sampled_from(WRITE_VERBS).flatmap(mixed_case)
BLANKS = st.sampled_from(["", " ", "\n", "\t ", "/* SELECT */", "-- SELECT\n", "/*-- SELECT\n*/ "])
QUOTES = st.sampled_from(["{}", '"{}"', "`{}`", '"public"."{}"', "main.{}"])
PIECES = st.sampled_from(
    ["SELECT", "'--'", "'/*'", "*/", "--", "/*", "\n", ";", "'", '"', "FOR UPDATE", "(", ")", "%s", "x"]
)
TAILS = st.lists(PIECES | st.text(max_size=8), max_size=12).map(" ".join)


@given(blank=BLANKS, verb=VERBS, quote=QUOTES, table=TABLES, tail=TAILS)
def test_a_statement_that_starts_with_a_write_verb_writes_the_table_that_it_names(
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
def test_a_write_after_any_cte_is_seen(before: list[str], verb: str, table: str, after: str) -> None:
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
def test_a_remembered_statement_without_declared_tables_costs_two_microseconds(sql: str) -> None:
    connection.ensure_connection()
    watched = watch(connection)

    def execute(sql: str, params: object, many: bool, context: object) -> None:
        """Does nothing: the time of the database is not measured."""

    # Django's cursor, of a statement without rows.
    context = {"cursor": SimpleNamespace(description=None)}

    def run_watched() -> None:
        watched(execute, sql, (), False, context)

    def run_bare() -> None:
        execute(sql, (), False, context)

    number = 2_000
    with_watch, without = (
        # The least: a busy machine makes the others longer.
        min(timeit.repeat(run, number=number, repeat=15)) / number
        for run in (run_watched, run_bare)
    )

    assert with_watch - without <= UNRELATED_LIMIT_SECONDS * ROBUSTNESS
