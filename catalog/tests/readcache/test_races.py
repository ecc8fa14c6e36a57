"""Overlaps and crashes, one after the other as DESIGN.md's tables list them, each made to happen.

The first group runs against the textbook's view too, which must be stale where the engine is not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.forms import model_to_dict
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from catalog import signals
from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Product, Tag
from catalog.tests.threads import in_another_thread
from readcache.invalidation.rotations import rotated
from readcache.invalidation.watch import watch
from readcache.storage.current import store

ROOT = Path(__file__).parents[3]
PRODUCT_TAG = "catalog_product"
PATIENCE_SECONDS = 30
# Long enough for what happens inside of it on a busy machine, short enough to wait for.
LEASE_SECONDS = 1.5
POLL_SECONDS = 0.01

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["/products/", "/textbook/products/"], ids=["read cache", "textbook"])
def products(request: pytest.FixtureRequest) -> str:
    """The list, served by each of the two, with only that one's invalidation connected."""
    if is_textbook(request.param):
        signals.connect()
    return str(request.param)


@pytest.fixture
def short_lease(settings: Settings) -> None:
    settings.READ_CACHE_LEASE_SECONDS = LEASE_SECONDS


@pytest.fixture
def product() -> Product:
    return ProductFactory.create(
        name="Old",
        category=CategoryFactory.create(name="Kitchen"),
        tags=[TagFactory.create(name="old")],
    )


class Undo(Exception):
    """Rolls a transaction back."""


@contextmanager
def undone() -> Iterator[None]:
    """A transaction, or a savepoint in one, that is rolled back."""
    with suppress(Undo), transaction.atomic():
        yield
        raise Undo


def read(url: str) -> Any:
    response = APIClient().get(url)
    assert response.status_code == 200, response.content
    return response.json()


def status(url: str) -> str:
    return str(APIClient().get(url)["Cache-Status"])


def name_in(url: str) -> str:
    return str(read(url)["results"][0]["name"])


def is_textbook(url: str) -> bool:
    return url.startswith("/textbook/")


def rename(product: Product, name: str = "New") -> None:
    product.name = name
    product.save()


def wait_until(condition: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE_SECONDS
        time.sleep(POLL_SECONDS)


def token_key(tag: str = PRODUCT_TAG) -> str:
    return store().token_key(tag)


def assert_old_at_most_for_the_rest_of_the_lease(read_redis: Any) -> None:
    """Nobody who asks for the list when the token of its products has run out is shown the old one.

    A busy machine may take its time to ask and to answer.
    """
    rest_ms = read_redis.pttl(token_key())
    assert rest_ms != -1
    assert rest_ms <= LEASE_SECONDS * 1000
    # One that is gone has a rest of -2. Redis rounds to milliseconds.
    end = time.monotonic() + (max(rest_ms, 0) + 2) / 1000
    while True:
        asked = time.monotonic()
        if name_in("/products/") == "New":
            return
        assert asked <= end
        time.sleep(POLL_SECONDS)


# The textbook's faults


def test_a_reader_between_save_and_commit_does_not_keep_the_old_page(products: str, product: Product) -> None:
    read(products)

    with transaction.atomic():
        rename(product)
        assert in_another_thread(lambda: name_in(products)) == "Old"

    assert name_in("/uncached/products/") == "New"
    assert name_in(products) == ("Old" if is_textbook(products) else "New")


def test_a_reader_while_the_admin_saves_does_not_keep_the_old_page(
    products: str, product: Product, client: Client, admin_user: User
) -> None:
    client.force_login(admin_user)
    read(products)
    seen_meanwhile = []

    def visit(**kwargs: Any) -> None:
        seen_meanwhile.append(in_another_thread(lambda: name_in(products)))

    post_save.connect(visit, sender=Product)
    try:
        form = model_to_dict(product, fields=["name", "description", "price", "stock", "category"])
        saved = client.post(f"/admin/catalog/product/{product.pk}/change/", {**form, "name": "New"})
    finally:
        post_save.disconnect(visit, sender=Product)

    assert saved.status_code == 302
    assert seen_meanwhile[:1] == ["Old"]
    assert name_in("/uncached/products/") == "New"
    assert name_in(products) == ("Old" if is_textbook(products) else "New")


@pytest.mark.parametrize("nth_query", [1, 2, 3])
def test_a_fill_that_a_write_overtook_is_not_served_again(
    nth_query: int, products: str, product: Product
) -> None:
    queries = 0

    def write() -> None:
        product.tags.clear()
        rename(product)

    def write_after_the_query(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal queries
        result = execute(sql, *rest)
        queries += 1
        if queries == nth_query:
            # The whole of a write: saved, committed, invalidated and acknowledged.
            in_another_thread(write)
        return result

    with connection.execute_wrapper(write_after_the_query):
        seen = read(products)

    assert queries == 3
    truth = read("/uncached/products/")
    shows_the_truth = read(products)["results"] == truth["results"]
    if is_textbook(products):
        assert shows_the_truth == (seen["results"] == truth["results"])
    else:
        assert shows_the_truth


def test_a_write_after_the_last_query_leaves_only_the_textbook_stale(products: str, product: Product) -> None:
    def write_after_the_last_query(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "catalog_tag" in sql:
            in_another_thread(lambda: rename(product))
        return result

    with connection.execute_wrapper(write_after_the_last_query):
        assert name_in(products) == "Old"

    assert name_in(products) == ("Old" if is_textbook(products) else "New")


def test_the_tokens_are_read_before_the_first_query(product: Product, read_redis: Any) -> None:
    seen: list[Any] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(read_redis.get(token_key()))
        in_another_thread(lambda: rename(product))
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        read("/products/")

    assert seen[0] is not None
    assert status("/products/") == "shop; fwd=stale; stored"


@pytest.mark.parametrize(
    "write",
    [
        lambda product: Product.objects.update(name="New"),
        lambda product: Product.objects.bulk_update([Product(pk=product.pk, name="New")], ["name"]),
        lambda product: product.tags.clear(),
        lambda product: Tag.objects.update(name="new"),
        lambda product: product.category.__class__.objects.update(slug="new"),
    ],
    ids=["update", "bulk_update", "tags cleared", "tag renamed", "category renamed"],
)
def test_a_write_without_a_signal_leaves_only_the_textbook_stale(
    write: Callable[[Product], object], products: str, product: Product
) -> None:
    old = read(products)

    write(product)

    truth = read("/uncached/products/")
    assert truth != old
    assert read(products) == (old if is_textbook(products) else truth)


def test_a_reader_between_a_save_and_its_tags_leaves_only_the_textbook_stale(
    products: str, product: Product
) -> None:
    read(products)

    rename(product)
    in_another_thread(lambda: read(products))
    product.tags.clear()

    assert read("/uncached/products/")["results"][0]["tags"] == []
    assert read(products)["results"][0]["tags"] == (["old"] if is_textbook(products) else [])


# Savepoints


def test_a_rolled_back_savepoint_takes_only_its_own_promises_away(product: Product) -> None:
    read("/products/")
    with transaction.atomic():
        with undone():
            rename(product, "Never")
        assert in_another_thread(lambda: name_in("/products/")) == "Old"
        # Guarded before, but not promised any more.
        rename(product)
        assert in_another_thread(lambda: name_in("/products/")) == "Old"

    assert name_in("/products/") == "New"


def test_an_unrelated_write_after_a_rolled_back_savepoint_rotates_what_it_wrote(product: Product) -> None:
    read("/products/")
    with transaction.atomic():
        with undone():
            rename(product, "Never")
        Tag.objects.update(name="new")
        in_another_thread(lambda: read("/products/"))

    assert read("/products/")["results"][0]["tags"] == ["new"]


# Writers that are killed

START = """
import os, signal, sys
import django
django.setup()
from django.db import transaction
from catalog import signals
from readcache.invalidation import rotations
from catalog.models import Product

def say(word):
    print(word, flush=True)

def block(*args):
    say("committed")
    sys.stdin.readline()

rotations.rotate_tokens = block
"""
WRITE_ALONE = "Product.objects.update(name='New')"
WRITE_IN_A_TRANSACTION = """
with transaction.atomic():
    Product.objects.update(name='New')
    say("written")
    sys.stdin.readline()
"""


class Writer:
    """Another process of the shop, which stops between its COMMIT and its rotation until it is killed."""

    def __init__(self, code: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", START + code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "shop.settings",
                "DATABASE_URL": database_url(),
                "PRIVATE_REDIS_DIR": str(django_settings.PRIVATE_REDIS_DIR),
                "READ_CACHE_LEASE_SECONDS": str(LEASE_SECONDS),
            },
        )

    def wait_for(self, word: str) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline().strip() == word

    def go_on(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(PATIENCE_SECONDS) == -signal.SIGKILL

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()


def database_url() -> str:
    """Of the test database."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    user, password = quote(database["USER"], safe=""), quote(database["PASSWORD"], safe="")
    return f"postgres://{user}:{password}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


@pytest.fixture
def start_writer() -> Iterator[Callable[[str], Writer]]:
    started: list[Writer] = []

    def start(code: str) -> Writer:
        started.append(Writer(code))
        return started[-1]

    yield start
    for writer in started:
        writer.close()


@pytest.mark.parametrize("code", [WRITE_ALONE, WRITE_IN_A_TRANSACTION], ids=["alone", "in a transaction"])
def test_a_writer_killed_between_commit_and_rotation_is_seen_when_the_lease_ends(
    code: str,
    product: Product,
    short_lease: None,
    start_writer: Callable[[str], Writer],
    read_redis: Any,
) -> None:
    read_redis.delete(token_key())
    read("/products/")
    assert read_redis.pttl(token_key()) == -1

    writer = start_writer(code)
    if code == WRITE_IN_A_TRANSACTION:
        writer.wait_for("written")
        assert 0 < read_redis.pttl(token_key()) <= LEASE_SECONDS * 1000
        writer.go_on()
    writer.wait_for("committed")
    writer.kill()

    assert name_in("/uncached/products/") == "New"
    # The old page is served at most for the rest of the lease, and never again after that.
    assert_old_at_most_for_the_rest_of_the_lease(read_redis)


def test_a_page_filled_while_the_killed_writer_s_transaction_was_open_dies_with_the_lease(
    product: Product, short_lease: None, start_writer: Callable[[str], Writer], read_redis: Any
) -> None:
    writer = start_writer(WRITE_IN_A_TRANSACTION)
    writer.wait_for("written")
    assert name_in("/products/") == "Old"
    writer.go_on()
    writer.wait_for("committed")
    writer.kill()

    assert_old_at_most_for_the_rest_of_the_lease(read_redis)


def test_of_two_writers_one_is_killed_and_the_other_s_rotation_is_perishable_too(
    product: Product, short_lease: None, start_writer: Callable[[str], Writer], read_redis: Any
) -> None:
    read("/products/")
    writer = start_writer(WRITE_IN_A_TRANSACTION)
    writer.wait_for("written")

    # What the survivor does, while the other's transaction is open. SQLite has one writer at a time.
    store().rotate([PRODUCT_TAG])
    assert 0 < read_redis.pttl(token_key()) <= LEASE_SECONDS * 1000
    assert name_in("/products/") == "Old"
    writer.go_on()
    writer.wait_for("committed")
    writer.kill()

    assert_old_at_most_for_the_rest_of_the_lease(read_redis)


# Guards


def test_the_guard_is_renewed_before_the_commit_of_a_long_transaction(
    product: Product, short_lease: None, read_redis: Any
) -> None:
    times_to_live: list[int] = []
    watched = watch(connection)
    send_commit = watched._commit

    def look_and_commit() -> None:
        times_to_live.append(read_redis.pttl(token_key()))
        send_commit()

    watched._commit = look_and_commit
    try:
        with transaction.atomic():
            rename(product)
            wait_until(lambda: not read_redis.exists(token_key()))
            # A reader makes a token that would last, and fills the old page under it.
            assert in_another_thread(lambda: name_in("/products/")) == "Old"
            assert read_redis.pttl(token_key()) == -1
    finally:
        watched._commit = send_commit

    assert len(times_to_live) == 1
    assert 0 < times_to_live[0] <= LEASE_SECONDS * 1000
    assert name_in("/products/") == "New"


def test_the_guard_is_renewed_by_a_later_statement_of_a_long_transaction(
    product: Product, short_lease: None, read_redis: Any
) -> None:
    with transaction.atomic():
        rename(product)
        wait_until(lambda: not read_redis.exists(token_key()))
        assert in_another_thread(lambda: name_in("/products/")) == "Old"
        assert read_redis.pttl(token_key()) == -1
        rename(product, "Newer")
        assert 0 < read_redis.pttl(token_key()) <= LEASE_SECONDS * 1000

    assert name_in("/products/") == "Newer"


def test_a_guard_makes_a_reader_s_token_perishable_and_leaves_it_as_it_is(
    product: Product, short_lease: None, read_redis: Any
) -> None:
    read_redis.delete(token_key())
    read("/products/")
    token = read_redis.get(token_key())
    assert read_redis.pttl(token_key()) == -1

    with transaction.atomic():
        rename(product)
        assert read_redis.get(token_key()) == token
        assert 0 < read_redis.pttl(token_key()) <= LEASE_SECONDS * 1000
        # The old page stays a hit for the others: nothing was committed.
        assert in_another_thread(lambda: status("/products/")).startswith("shop; hit")

    assert read_redis.get(token_key()) != token
    assert 0 < read_redis.pttl(token_key()) <= LEASE_SECONDS * 1000


def test_a_reader_does_not_make_a_guarded_token_last(
    product: Product, short_lease: None, read_redis: Any
) -> None:
    read_redis.delete(token_key())

    with transaction.atomic():
        rename(product)
        guarded = read_redis.get(token_key())
        in_another_thread(lambda: read("/products/"))
        assert read_redis.get(token_key()) == guarded
        assert 0 < read_redis.pttl(token_key()) <= LEASE_SECONDS * 1000


def test_a_guard_is_there_before_the_statement_runs(
    product: Product, short_lease: None, read_redis: Any
) -> None:
    read_redis.delete(token_key())
    read("/products/")
    times_to_live: list[int] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        times_to_live.append(read_redis.pttl(token_key()))
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        Product.objects.update(name="New")

    assert len(times_to_live) == 1
    assert 0 < times_to_live[0] <= LEASE_SECONDS * 1000


# Tokens that are lost


@pytest.mark.parametrize(
    "tag", ["catalog_category", "catalog_product", "catalog_product_tags", "catalog_tag"]
)
def test_an_evicted_token_is_a_miss_and_the_entry_never_comes_back(
    tag: str, product: Product, read_redis: Any
) -> None:
    read("/products/")
    assert status("/products/").startswith("shop; hit")
    before = read_redis.get(token_key(tag))

    read_redis.delete(token_key(tag))

    assert status("/products/") == "shop; fwd=stale; stored"
    assert read_redis.get(token_key(tag)) not in (None, before)
    assert status("/products/").startswith("shop; hit")


def test_a_token_that_is_made_again_never_equals_an_old_one(product: Product, read_redis: Any) -> None:
    seen = set()
    for number in range(50):
        read_redis.delete(token_key())
        read("/products/")
        seen.add(read_redis.get(token_key()))
        rename(product, f"Name {number}")
        seen.add(read_redis.get(token_key()))

    assert len(seen) == 100
    assert {len(token) for token in seen} == {16}


def test_a_redis_that_forgot_a_rotation_forgets_it_for_one_lease(
    product: Product, short_lease: None, read_redis: Any
) -> None:
    """As after a failover to a replica that had the guard and not the rotation."""
    read_redis.delete(token_key())
    read("/products/")
    replicated: list[tuple[bytes, int]] = []

    def replicate(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        replicated.append((read_redis.dump(token_key()), read_redis.pttl(token_key())))
        return result

    with connection.execute_wrapper(replicate):
        Product.objects.update(name="New")
    [(token, milliseconds)] = replicated
    read_redis.restore(token_key(), milliseconds, token, replace=True)

    assert name_in("/products/") == "Old"
    assert_old_at_most_for_the_rest_of_the_lease(read_redis)


# Threads


def test_threads_that_read_and_write_at_once_leave_the_last_write_shown(product: Product) -> None:
    start = threading.Barrier(4)

    def write(name: str) -> None:
        start.wait(PATIENCE_SECONDS)
        for number in range(10):
            Product.objects.filter(pk=product.pk).update(name=f"{name} {number}")
            shown = name_in(f"/products/?search={name}") if name == "A" else ""
            assert shown in ("", f"A {number}")

    def visit() -> None:
        start.wait(PATIENCE_SECONDS)
        for _ in range(20):
            read("/products/")

    def work(task: Callable[[], None]) -> None:
        try:
            task()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=4) as executor:
        tasks = [lambda: write("A"), visit, visit, visit]
        for future in [executor.submit(work, task) for task in tasks]:
            future.result()

    assert read("/products/") == read("/uncached/products/")


def test_a_reader_right_after_the_rotation_finds_the_write_committed(product: Product) -> None:
    seen: list[str] = []

    def visit(**kwargs: Any) -> None:
        seen.append(in_another_thread(lambda: name_in("/products/")))

    read("/products/")
    rotated.connect(visit)
    try:
        with transaction.atomic():
            rename(product)
    finally:
        rotated.disconnect(visit)

    assert seen == ["New"]
    assert name_in("/products/") == "New"
