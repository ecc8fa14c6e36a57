"""Every kind of write is seen, in every kind of transaction, and costs what it should.

How a statement is told from a read: ``test_statements.py``. Overlaps and crashes: ``test_races.py``.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created
from django.test import Client
from rest_framework.test import APIClient

from catalog import seeding
from catalog.benchmarks.experiments.invalidation.writes import KINDS, Admin, Kind, Page, Target, make_targets
from catalog.benchmarks.experiments.invalidation.writes.kinds import Write
from catalog.benchmarks.experiments.invalidation.writes.products import save, update
from catalog.benchmarks.experiments.invalidation.writes.relations import (
    clear_the_tags,
    rename_the_category,
    rename_the_tag,
)
from catalog.benchmarks.experiments.invalidation.writes.statements import raw_sql
from catalog.models import Category, Product, Tag
from catalog.tests.threads import in_another_thread
from readcache.invalidation import recording, watch
from readcache.invalidation.rotations import rotated
from readcache.invalidation.watch import Watch, rotate

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 60
LIST, STATS, CATEGORIES = "/products/", "/products/stats/", "/categories/"
IS_POSTGRESQL = django_settings.DATABASES["default"]["ENGINE"].endswith("postgresql")

in_its_own_transactions = pytest.mark.django_db(transaction=True)


@pytest.fixture
def target() -> Target:
    """Two products with a category and a tag of their own."""
    user, browser = User.objects.create_superuser("wilhelmina"), Client()
    browser.force_login(user)
    [made] = make_targets("Old", 1, admin=Admin(user=user, browser=browser))
    return made


class Undo(Exception):
    """Rolls a transaction back."""


@contextmanager
def undone() -> Iterator[None]:
    """A transaction, or a savepoint in one, that is rolled back."""
    with suppress(Undo), transaction.atomic():
        yield
        raise Undo


def get(url: str) -> tuple[Any, str]:
    """The JSON that a visitor is shown, and how the cache took part in it."""
    response = APIClient().get(url)
    assert response.status_code in (200, 404), response.content
    return response.json(), response["Cache-Status"]


def truth(url: str) -> Any:
    return APIClient().get(f"/uncached{url}").json()


def named_pages(target: Target) -> dict[Page, str]:
    slug = target.category.slug
    return {
        "list": LIST,
        "detail": f"{LIST}{target.product.pk}/",
        "statistics": STATS,
        "category": f"{CATEGORIES}{slug}/",
    }


def pages_of(target: Target) -> list[str]:
    """Each page that shows something of the products, their category or their tag."""
    return [*named_pages(target).values(), CATEGORIES]


def warm(pages: list[str]) -> dict[str, Any]:
    """Fill the pages, and return what they show."""
    for url in pages:
        get(url)
    shown = {url: get(url) for url in pages}
    assert all(status.startswith("shop; hit") for _, status in shown.values()), shown
    return {url: body for url, (body, _) in shown.items()}


def assert_right(pages: list[str]) -> None:
    """At the first reading, and when it is served from what that has stored."""
    expected = {url: truth(url) for url in pages}
    for _ in range(2):
        assert {url: get(url)[0] for url in pages} == expected


def execute(sql: str, parameters: Any = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


# The kinds of writes: all that are measured in this process, and one whose rows are not its own


def seed(target: Target) -> None:
    seeding.carry_out(seeding.plan_seeding(count=3))


SEED = Kind(name="seed", changes=frozenset({"list", "statistics"}), write=seed)
every_kind_of_write = pytest.mark.parametrize(
    "kind", [*(kind for kind in KINDS if not kind.is_elsewhere), SEED], ids=lambda kind: kind.name
)


# The matrix of writes and transactions


@in_its_own_transactions
@every_kind_of_write
def test_a_write_of_its_own_is_seen_by_the_next_read(kind: Kind, target: Target) -> None:
    named, pages = named_pages(target), pages_of(target)
    old = warm(pages)

    kind.write(target)

    assert {page for page, url in named.items() if truth(url) != old[url]} == kind.changes
    assert_right(pages)


@in_its_own_transactions
@every_kind_of_write
def test_a_write_in_a_transaction_is_seen_inside_at_once_and_outside_after_the_commit(
    kind: Kind, target: Target
) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with transaction.atomic():
        kind.write(target)
        for url in pages:
            shown, status = get(url)
            assert shown == truth(url)
            # A page that is not there any more is no answer of the cache's.
            assert status == "shop; fwd=bypass; detail=uncommitted-write" or "detail" in shown
        assert in_another_thread(lambda: {url: get(url)[0] for url in pages}) == old

    assert any(truth(url) != old[url] for url in pages)
    assert_right(pages)


@in_its_own_transactions
@every_kind_of_write
def test_a_write_that_a_savepoint_undid_leaves_the_write_around_it_seen(kind: Kind, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with transaction.atomic():
        with undone():
            kind.write(target)
        Product.objects.filter(pk=target.product.pk).update(description="Outer")

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@in_its_own_transactions
@pytest.mark.parametrize("write", [save, update, clear_the_tags, rename_the_category, raw_sql, seed])
def test_a_write_around_a_savepoint_that_is_undone_is_seen(write: Write, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with transaction.atomic():
        write(target)
        with undone():
            Product.objects.update(description="Inner")
            Product.tags.through.objects.all().delete()

    assert any(truth(url) != old[url] for url in pages)
    assert_right(pages)


@in_its_own_transactions
@every_kind_of_write
def test_a_write_that_was_rolled_back_leaves_the_pages_right(kind: Kind, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with undone():
        kind.write(target)
        assert in_another_thread(lambda: {url: get(url)[0] for url in pages}) == old

    assert {url: truth(url) for url in pages} == old
    assert_right(pages)
    assert all(status.startswith("shop; hit") for _, status in map(get, pages))


@pytest.mark.skipif(not IS_POSTGRESQL, reason="only PostgreSQL has these")
@in_its_own_transactions
@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE catalog_category CASCADE",
        "TRUNCATE catalog_product_tags",
        "DO $$ BEGIN UPDATE catalog_product SET name = 'New'; END $$",
        """MERGE INTO catalog_product USING catalog_category AS c ON category_id = c.id
           WHEN MATCHED THEN UPDATE SET name = 'New'""",
        "EXPLAIN ANALYZE DELETE FROM catalog_product_tags",
        "SELECT 1; UPDATE public.catalog_product SET name = 'New'",
        'UPDATE "public"."catalog_product" SET name = \'New\'',
    ],
)
def test_a_statement_that_only_postgresql_has_is_seen(sql: str, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute(sql)

    assert any(truth(url) != old[url] for url in pages)
    assert_right(pages)


@pytest.mark.skipif(not IS_POSTGRESQL, reason="only psycopg composes statements and takes bytes")
@in_its_own_transactions
@pytest.mark.parametrize("form", ["composed", "bytes"])
def test_a_statement_that_is_not_a_string_is_seen(form: str, target: Target) -> None:
    from psycopg import sql  # not there for SQLite alone

    composed = sql.SQL("UPDATE {} SET name = 'New'").format(sql.Identifier("public", "catalog_product"))
    pages = pages_of(target)
    warm(pages)

    execute(composed if form == "composed" else b"UPDATE catalog_product SET name = 'New'")  # type: ignore[arg-type]

    assert truth(LIST)["results"][0]["name"] == "New"
    assert_right(pages)


# Other connections


@in_its_own_transactions
@pytest.mark.parametrize("atomic", [False, True], ids=["alone", "in a transaction"])
def test_a_write_of_another_thread_is_seen(atomic: bool, target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    def write() -> None:
        if atomic:
            with transaction.atomic():
                save(target)
        else:
            save(target)

    in_another_thread(write)

    assert truth(LIST)["results"][0]["name"] == target.new_name
    assert_right(pages)


def database_url() -> str:
    """Of the test database."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    user, password = quote(database["USER"], safe=""), quote(database["PASSWORD"], safe="")
    return f"postgres://{user}:{password}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


def process_environment() -> dict[str, str]:
    """Of another process of the same shop."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "DATABASE_URL": database_url(),
        "PRIVATE_REDIS_DIR": str(django_settings.PRIVATE_REDIS_DIR),
    }


@in_its_own_transactions
@pytest.mark.parametrize(
    ("code", "is_kept"),
    [
        ("Product.objects.update(name='New')", True),
        ("with transaction.atomic(): Product.objects.update(name='New')", True),
        (
            "with transaction.atomic(): Product.objects.update(name='New'); transaction.set_rollback(True)",
            False,
        ),
    ],
    ids=["alone", "in a transaction", "rolled back"],
)
def test_a_write_of_another_process_is_seen(code: str, is_kept: bool, target: Target) -> None:
    pages = pages_of(target)
    warm(pages)
    start = "import django; django.setup(); from django.db import transaction; "
    script = f"{start}from catalog.models import Product\n{code}\n"

    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        check=True,
        cwd=ROOT,
        env=process_environment(),
        timeout=PATIENCE_SECONDS,
    )

    assert truth(LIST)["results"][0]["name"] == ("New" if is_kept else target.mark)
    assert_right(pages)


@in_its_own_transactions
@pytest.mark.parametrize("atomic", [False, True], ids=["alone", "in a transaction"])
def test_a_write_on_another_alias_is_seen(atomic: bool, target: Target) -> None:
    pages = pages_of(target)
    warm(pages)
    connections["other"] = connection.copy()
    try:
        if atomic:
            with transaction.atomic(using="other"):
                Product.objects.using("other").update(name="New")
        else:
            Product.objects.using("other").update(name="New")
    finally:
        connections["other"].close()
        del connections["other"]

    assert truth(LIST)["results"][0]["name"] == "New"
    assert_right(pages)


def watches() -> list[Watch]:
    return [wrapper for wrapper in connection.execute_wrappers if isinstance(wrapper, Watch)]


@in_its_own_transactions
def test_a_connection_that_was_there_before_the_watch_is_watched_too(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    def write_on_an_old_connection() -> None:
        assert connection_created.disconnect(dispatch_uid="read-cache-watch")
        try:
            connection.ensure_connection()
            assert watches() == []
        finally:
            watch.install()
        with transaction.atomic():
            save(target)

    in_another_thread(write_on_an_old_connection)

    assert truth(LIST)["results"][0]["name"] == target.new_name
    assert_right(pages)


@in_its_own_transactions
def test_a_connection_is_watched_once_however_often_it_is_opened(target: Target) -> None:
    watch.install()
    connection.close()
    connection.ensure_connection()
    watch.install()

    with rotations() as seen, transaction.atomic():
        save(target)

    assert len(watches()) == 1
    assert seen == [{"catalog_product"}]


@in_its_own_transactions
def test_a_transaction_that_is_cut_off_promises_nothing_to_the_next(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    with undone():
        save(target)
        connection.close()

    assert not watch.has_written()
    assert_right(pages)
    with rotations() as seen, transaction.atomic():
        Tag.objects.create(name="another")
    assert seen == [{"catalog_tag"}]


# Transactions of other kinds


@contextmanager
def rotations() -> Iterator[list[set[str]]]:
    """The tags of each rotation, in order."""
    seen: list[set[str]] = []

    def note(*, tags: frozenset[str], **kwargs: Any) -> None:
        seen.append(set(tags))

    rotated.connect(note)
    try:
        yield seen
    finally:
        rotated.disconnect(note)


@contextmanager
def manual_transaction() -> Iterator[None]:
    transaction.set_autocommit(False)
    try:
        yield
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


@in_its_own_transactions
def test_a_manual_transaction_is_seen_inside_at_once_and_outside_after_its_commit(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with manual_transaction():
        update(target)
        shown, status = get(LIST)
        assert shown == truth(LIST) != old[LIST]
        assert status == "shop; fwd=bypass; detail=uncommitted-write"
        assert in_another_thread(lambda: {url: get(url)[0] for url in pages}) == old
        transaction.commit()
        assert not watch.has_written()
        assert in_another_thread(lambda: get(LIST)[0]) == truth(LIST)

    assert_right(pages)


@in_its_own_transactions
def test_a_manual_transaction_that_is_rolled_back_leaves_the_pages_right(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with rotations() as seen, manual_transaction():
        update(target)
        transaction.rollback()
        assert not watch.has_written()

    assert seen == []
    assert {url: truth(url) for url in pages} == old
    assert_right(pages)


@in_its_own_transactions
def test_an_atomic_block_in_a_manual_transaction_is_seen_after_the_commit(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with manual_transaction():
        with transaction.atomic():
            update(target)
        assert in_another_thread(lambda: {url: get(url)[0] for url in pages}) == old
        transaction.commit()

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@pytest.mark.skipif(IS_POSTGRESQL, reason="psycopg refuses it")
@in_its_own_transactions
def test_switching_autocommit_on_commits_on_sqlite_and_is_seen(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    transaction.set_autocommit(False)
    try:
        update(target)
    finally:
        transaction.set_autocommit(True)

    assert in_another_thread(lambda: truth(LIST))["results"][0]["price"] == str(target.new_price)
    assert_right(pages)


@in_its_own_transactions
def test_a_transaction_in_raw_sql_is_seen_after_its_commit(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("BEGIN")
    update(target)
    assert in_another_thread(lambda: {url: get(url)[0] for url in pages}) == old
    execute("COMMIT")

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
@in_its_own_transactions
def test_what_a_transaction_in_raw_sql_has_not_committed_is_never_stored(end: str, target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("BEGIN")
    assert not watch.has_written()
    update(target)
    shown, status = get(LIST)
    assert shown == truth(LIST) != old[LIST]
    assert status == "shop; fwd=bypass; detail=uncommitted-write"
    assert in_another_thread(lambda: {url: get(url)[0] for url in pages}) == old
    execute(end)

    assert not watch.has_written()
    assert_right(pages)


@in_its_own_transactions
def test_a_transaction_in_raw_sql_that_has_written_nothing_fills_nothing(target: Target) -> None:
    execute("BEGIN")
    execute("SELECT 1 FROM catalog_product")
    assert get(LIST)[1] == "shop; fwd=bypass; detail=transaction"
    execute("COMMIT")

    assert get(LIST)[1] == "shop; fwd=uri-miss; stored"


@pytest.mark.skipif(not IS_POSTGRESQL, reason="SQLite takes one statement at a time")
@in_its_own_transactions
def test_a_transaction_that_begins_in_the_same_text_as_its_write_is_seen_after_its_commit(
    target: Target,
) -> None:
    pages = pages_of(target)
    warm(pages)

    execute(f"BEGIN; UPDATE catalog_product SET name = 'Newest' WHERE id = {target.product.pk}")
    in_another_thread(lambda: [get(url) for url in pages])
    execute("COMMIT")

    assert_right(pages)


@pytest.mark.skipif(IS_POSTGRESQL, reason="PostgreSQL refuses it")
@in_its_own_transactions
def test_a_savepoint_that_is_a_transaction_on_sqlite_is_seen_after_its_release(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("SAVEPOINT alone")
    update(target)
    assert in_another_thread(lambda: {url: get(url)[0] for url in pages}) == old
    execute("RELEASE alone")

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@in_its_own_transactions
def test_a_transaction_in_raw_sql_that_is_cut_off_leaves_the_pages_right(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    execute("BEGIN")
    update(target)
    connection.close()

    assert not watch.has_written()
    assert {url: truth(url) for url in pages} == old
    assert_right(pages)


@in_its_own_transactions
def test_an_insert_that_returns_its_key_is_rotated_after_it_is_committed(target: Target) -> None:
    """SQLite commits such a statement with the fetch of its last row, after its execution."""
    get(CATEGORIES)

    def read(**kwargs: Any) -> None:
        in_another_thread(lambda: get(CATEGORIES))

    with receiving(read):
        made = Category.objects.create(name="Newest", slug="newest")

    assert made.pk == Category.objects.get(slug="newest").pk
    assert in_another_thread(lambda: get(CATEGORIES)[0]) == truth(CATEGORIES)


@in_its_own_transactions
def test_the_rows_that_a_write_returns_can_be_fetched_in_every_way(target: Target) -> None:
    slugs = ["a", "b", "c", "d", "e", "f"]
    rows = [(slug,) for slug in slugs]
    values = ", ".join(f"('{slug}', '{slug}')" for slug in slugs)

    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO catalog_category (name, slug) VALUES {values} RETURNING slug")
        assert cursor.description[0][0] == "slug"
        assert cursor.rowcount == len(slugs)
        assert cursor.fetchone() == rows[0]
        assert cursor.fetchmany(2) == rows[1:3]
        assert cursor.fetchall() == rows[3:]
        assert cursor.fetchone() is None
        # The same cursor goes on with the next statement.
        cursor.execute("SELECT slug FROM catalog_category WHERE slug = 'b'")
        assert list(cursor) == [("b",)]
        cursor.execute("DELETE FROM catalog_category WHERE slug = 'b' RETURNING slug")
        assert list(cursor) == [("b",)]
        cursor.executemany("DELETE FROM catalog_category WHERE slug = %s", [("c",), ("d",)])
    assert {"b", "c", "d"}.isdisjoint(Category.objects.values_list("slug", flat=True))


@in_its_own_transactions
def test_rotate_in_a_transaction_also_rotates_after_its_commit(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with transaction.atomic():
        # As what the watch cannot see: COPY, a procedure.
        with recording.suspended():
            update(target)
        rotate(Product)
        assert in_another_thread(lambda: {url: get(url)[0] for url in pages}) == old
        assert get(LIST)[1] == "shop; fwd=bypass; detail=uncommitted-write"

    assert truth(LIST) != old[LIST]
    assert_right(pages)


@in_its_own_transactions
def test_the_application_s_hooks_find_the_rotation_done(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)
    seen: list[Any] = []

    with transaction.atomic():
        # Registered before the write, so run before whatever the write registers.
        transaction.on_commit(lambda: seen.append(in_another_thread(lambda: get(LIST)[0])))
        update(target)

    assert seen == [truth(LIST)]
    assert seen[0]["results"][0]["price"] == str(target.new_price)


@in_its_own_transactions
def test_a_hook_of_the_application_that_fails_does_not_keep_the_rotation_away(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    def fail() -> None:
        raise Undo

    # The hooks run after the COMMIT.
    with suppress(Undo), transaction.atomic():
        transaction.on_commit(fail)
        update(target)

    assert truth(LIST)["results"][0]["price"] == str(target.new_price)
    assert_right(pages)


@in_its_own_transactions
def test_a_statement_that_fails_leaves_the_pages_right(target: Target) -> None:
    pages = pages_of(target)
    old = warm(pages)

    with pytest.raises(Exception, match="no_such_column"):
        execute("UPDATE catalog_product SET no_such_column = 1")

    assert {url: truth(url) for url in pages} == old
    assert_right(pages)


@pytest.mark.django_db
def test_callbacks_that_a_test_captures_rotate_where_they_are_executed(
    target: Target, django_capture_on_commit_callbacks: Any
) -> None:
    with rotations() as seen:
        with django_capture_on_commit_callbacks(execute=True):
            update(target)
            # Written before the block too: only what that has not promised is promised here.
            execute("DELETE FROM catalog_tag WHERE name = 'nobody'")
        assert seen == []

    with rotations() as seen:
        for _, callback, *_ in list(connection.run_on_commit):
            assert callable(callback)
            callback()
    assert set().union(*seen) == {
        "catalog_category",
        "catalog_product",
        "catalog_product_tags",
        "catalog_tag",
    }


@pytest.mark.django_db
def test_a_test_s_transaction_promises_rotations_that_capturing_executes(
    django_capture_on_commit_callbacks: Any,
) -> None:
    with rotations() as seen:
        with django_capture_on_commit_callbacks(execute=True) as callbacks:
            Tag.objects.create(name="new")
            Tag.objects.create(name="newer")
        assert len(callbacks) == 1

    assert seen == [{"catalog_tag"}]


# The signal, and rotate()


@in_its_own_transactions
def test_the_signal_names_the_tags_once_a_transaction_after_its_commit(target: Target) -> None:
    with rotations() as seen, transaction.atomic():
        save(target)
        rename_the_category(target)
        save(target)
        assert seen == []

    assert seen == [{"catalog_product", "catalog_category"}]


@in_its_own_transactions
def test_a_transaction_that_is_rolled_back_sends_no_signal(target: Target) -> None:
    with rotations() as seen, undone():
        save(target)

    assert seen == []


@in_its_own_transactions
def test_only_what_the_transaction_kept_is_rotated(target: Target) -> None:
    with rotations() as seen, transaction.atomic():
        with undone():
            rename_the_tag(target)
        update(target)

    assert seen == [{"catalog_product"}]


@in_its_own_transactions
def test_a_receiver_that_fails_does_not_fail_the_write(target: Target) -> None:
    def fail(**kwargs: Any) -> None:
        raise Undo

    rotated.connect(fail)
    try:
        update(target)
    finally:
        rotated.disconnect(fail)

    assert Product.objects.get(pk=target.product.pk).price == 12.5


@contextmanager
def receiving(receiver: Callable[..., None]) -> Iterator[None]:
    rotated.connect(receiver)
    try:
        yield
    finally:
        rotated.disconnect(receiver)


@in_its_own_transactions
def test_a_receiver_may_query_the_database(target: Target) -> None:
    counted: list[int] = []

    def count(**kwargs: Any) -> None:
        counted.append(Category.objects.filter(name="Newest").count())

    with receiving(count), transaction.atomic():
        Category.objects.create(name="Newest", slug="newest")

    assert counted == [1]
    assert not connection.in_atomic_block
    assert connection.get_autocommit()


@in_its_own_transactions
def test_what_a_receiver_writes_is_seen_too(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    def write(**kwargs: Any) -> None:
        rotated.disconnect(write)
        rename_the_category(target)

    with receiving(write), transaction.atomic():
        update(target)

    assert truth(CATEGORIES) == in_another_thread(lambda: get(CATEGORIES)[0])
    assert_right(pages)


@in_its_own_transactions
def test_a_manual_transaction_sends_the_signal_at_its_commit(target: Target) -> None:
    with rotations() as seen, manual_transaction():
        update(target)
        with transaction.atomic():
            rename_the_category(target)
        assert seen == []
        transaction.commit()
        assert seen == [{"catalog_product", "catalog_category"}]


@in_its_own_transactions
def test_rotate_makes_the_pages_of_a_model_dead_and_no_others(target: Target) -> None:
    pages = pages_of(target)
    warm(pages)

    with rotations() as seen:
        rotate(Tag)

    assert seen == [{"catalog_tag"}]
    statuses = {url: get(url)[1].split(";")[1].strip() for url in pages}
    assert [statuses[url] for url in pages] == ["fwd=stale", "fwd=stale", "hit", "hit", "hit"]


# What a write costs


@contextmanager
def counted(read_redis: Any) -> Iterator[Callable[[], tuple[int, int, int]]]:
    """Round trips, SETs and PEXPIREs that the server saw since the block began."""

    def count() -> tuple[int, int, int]:
        commands = read_redis.info("commandstats")
        sets, expiries = (
            int(commands.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("set", "pexpire")
        )
        # Each pipeline of a few commands is one read of the server's, and so is each INFO.
        return int(read_redis.info("stats")["total_reads_processed"]), sets, expiries

    # The end of a connection that nobody has any more would count as a read of the server's.
    gc.collect()
    before = count()

    def difference() -> tuple[int, int, int]:
        reads, sets, expiries = (now - then for now, then in zip(count(), before, strict=True))
        return reads - 2, sets, expiries

    yield difference


@in_its_own_transactions
@pytest.mark.parametrize("statements", [1, 10, 100])
def test_a_transaction_costs_one_guard_and_one_rotation_whatever_its_statements(
    statements: int, target: Target, read_redis: Any
) -> None:
    with counted(read_redis) as cost:
        with transaction.atomic():
            for number in range(statements):
                Product.objects.filter(pk=target.product.pk).update(stock=number)
            inside = cost()
        outside = cost()

    # The measuring inside takes two round trips itself.
    assert inside == (1, 1, 1)
    assert outside == (2 + 2, 2, 1)


@in_its_own_transactions
def test_each_tag_is_guarded_when_it_is_first_touched_and_all_are_rotated_at_once(
    target: Target, read_redis: Any
) -> None:
    with counted(read_redis) as cost, transaction.atomic():
        for _ in range(3):
            Product.objects.update(stock=3)
            Tag.objects.update(name="new")
            with transaction.atomic():
                Category.objects.update(name="New")

    assert cost() == (3 + 1, 3 + 3, 3)


@in_its_own_transactions
def test_a_write_without_a_transaction_costs_two_round_trips(target: Target, read_redis: Any) -> None:
    with counted(read_redis) as cost:
        Product.objects.filter(pk=target.product.pk).update(stock=1)

    assert cost() == (2, 2, 1)


@in_its_own_transactions
def test_a_transaction_that_is_rolled_back_costs_its_guard_only(target: Target, read_redis: Any) -> None:
    with counted(read_redis) as cost, undone():
        Product.objects.filter(pk=target.product.pk).update(stock=1)

    assert cost() == (1, 1, 1)


@in_its_own_transactions
def test_what_concerns_no_declared_table_costs_redis_nothing(target: Target, read_redis: Any) -> None:
    with counted(read_redis) as cost:
        User.objects.create_user("walter")
        list(Product.objects.select_for_update().none())
        list(Product.objects.all())
        with transaction.atomic():
            list(Product.objects.select_for_update())

    assert cost() == (0, 0, 0)


@in_its_own_transactions
def test_seeding_a_thousand_products_costs_a_few_round_trips(read_redis: Any) -> None:
    read_redis.ping()
    seeding.carry_out(seeding.plan_seeding(count=1))

    with counted(read_redis) as cost:
        seeding.carry_out(seeding.plan_seeding(count=1_001))

    # One batch: products and tag rows are guarded once each and rotated together.
    assert Product.objects.count() == 1_001
    assert cost() == (2 + 1, 2 + 2, 2)


@in_its_own_transactions
def test_a_404_within_a_transaction_that_wrote_says_that_the_cache_was_bypassed() -> None:
    with transaction.atomic():
        Product.objects.update(price=1)
        answer = APIClient().get(f"{LIST}1/")

    assert answer.status_code == 404
    assert answer["Cache-Status"] == "shop; fwd=bypass; detail=uncommitted-write"
