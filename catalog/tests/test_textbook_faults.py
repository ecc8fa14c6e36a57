"""The faults of the textbook's cache. Each test passes because the fault exists.

``textbook.py`` lists the faults. Other caches are measured against this one, so a fault that went away
unnoticed would falsify the comparison. ``test_textbook.py`` tests what works.
"""

from __future__ import annotations

import pickle
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import F
from django.db.models.signals import m2m_changed, post_save
from django.forms import model_to_dict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.cache import get_max_age
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rest_framework.response import Response
from rest_framework.test import APIClient

from catalog.factories import CategoryFactory, ProductFactory, TagFactory
from catalog.models import Product
from catalog.tests.threads import in_another_thread

LIST = "/textbook/products/"
STATS = "/textbook/products/stats/"
CATEGORIES = "/textbook/categories/"
# Each page shows the product whose primary key is ``pk``.
PRODUCT_PAGES = [LIST, "/textbook/products/{pk}/", STATS]

THREADS = 8
# How long a thread waits for the others before the test fails.
BARRIER_TIMEOUT_SECONDS = 10
HTML = {"accept": "text/html"}


def read(url: str) -> Any:
    """The answer to an anonymous client."""
    response = APIClient().get(url)
    assert response.status_code == 200, response.content
    return response.json()


def truth(url: str) -> Any:
    """The answer to an anonymous client from the uncached view."""
    return read(url.replace("/textbook/", "/uncached/"))


def stored_pages(redis: Any) -> list[bytes]:
    return list({key for key in redis.scan_iter() if b".cache_page." in key})


@contextmanager
def counted_calls(redis: Any, command: str) -> Iterator[Callable[[], int]]:
    """Yields a function: how often the server has received the command since the block began."""

    def calls() -> int:
        return int(redis.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))

    before = calls()
    yield lambda: calls() - before


# Invalidates before COMMIT


@pytest.mark.parametrize("page", PRODUCT_PAGES)
def test_a_page_that_is_read_between_save_and_commit_stays_stale_after_the_commit(
    page: str, transactional_db: None, redis: Any
) -> None:
    product = ProductFactory.create(name="Old", price="10.00")
    url = page.format(pk=product.pk)
    old = read(url)

    with transaction.atomic():
        product.name, product.price = "New", "12.50"
        product.save()
        assert stored_pages(redis) == []
        assert in_another_thread(lambda: read(url)) == old

    assert truth(url) != old
    assert read(url) == old
    assert [redis.ttl(key) > 800 for key in stored_pages(redis)] == [True]


def test_a_page_that_is_read_during_a_save_in_the_admin_stays_stale(
    transactional_db: None, client: Client, admin_user: User
) -> None:
    product = ProductFactory.create(name="Old")
    client.force_login(admin_user)
    seen_meanwhile = []

    def visit(**kwargs: Any) -> None:
        seen_meanwhile.append(in_another_thread(lambda: read(LIST)["results"][0]["name"]))

    # Receivers run in the order of their connection, so the textbook's has emptied the cache by then.
    post_save.connect(visit, sender=Product)
    try:
        form = model_to_dict(product, fields=["name", "description", "price", "stock", "category"])
        saved = client.post(f"/admin/catalog/product/{product.pk}/change/", {**form, "name": "New"})
    finally:
        post_save.disconnect(visit, sender=Product)

    assert saved.status_code == 302
    assert seen_meanwhile == ["Old"]
    assert truth(LIST)["results"][0]["name"] == "New"
    assert read(LIST)["results"][0]["name"] == "Old"


# Late fill


@pytest.mark.parametrize(
    ("page", "last_query"),
    [(LIST, "catalog_tag"), ("/textbook/products/{pk}/", "catalog_tag"), (STATS, "GROUP BY")],
)
def test_a_reader_that_queried_before_a_write_stores_a_stale_page_after_it(
    page: str, last_query: str, transactional_db: None, redis: Any
) -> None:
    product = ProductFactory.create(price="10.00")
    url = page.format(pk=product.pk)
    written = threading.Event()

    def write() -> None:
        """Write, commit and invalidate, all before the reader stores its page."""
        product.price = "12.50"
        product.save()
        written.set()

    def write_after_the_last_query(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if last_query in sql and not written.is_set():
            in_another_thread(write)
        return result

    with connection.execute_wrapper(write_after_the_last_query):
        old = read(url)

    assert written.is_set()
    assert "10.00" in str(old)
    assert "12.50" in str(truth(url))
    assert read(url) == old
    assert [redis.ttl(key) > 800 for key in stored_pages(redis)] == [True]


# Writes that send no signal of a product


def update(product: Product) -> None:
    Product.objects.filter(pk=product.pk).update(stock=F("stock") + 1, price="12.50")


def bulk_create(product: Product) -> None:
    Product.objects.bulk_create([Product(name="New", price="12.50", stock=1, category=product.category)])


def bulk_update(product: Product) -> None:
    product.price = "12.50"
    Product.objects.bulk_update([product], ["price"])


def add_a_tag(product: Product) -> None:
    product.tags.add(TagFactory.create(name="new"))


def remove_a_tag(product: Product) -> None:
    product.tags.clear()


def rename_a_tag(product: Product) -> None:
    tag = product.tags.get()
    tag.name = "renamed"
    tag.save()


def delete_a_tag(product: Product) -> None:
    product.tags.get().delete()


def rename_the_category(product: Product) -> None:
    product.category.slug = "renamed"
    product.category.save()


def run_raw_sql(product: Product) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_product SET price = 12.50")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("write", "pages"),
    [
        (update, "list detail stats"),
        (bulk_create, "list stats"),
        (bulk_update, "list detail stats"),
        (add_a_tag, "list detail"),
        (remove_a_tag, "list detail"),
        (rename_a_tag, "list detail"),
        (delete_a_tag, "list detail"),
        (rename_the_category, "list detail stats"),
        (run_raw_sql, "list detail stats"),
    ],
)
def test_a_write_that_sends_no_signal_of_a_product_leaves_stale_pages(
    write: Callable[[Product], None], pages: str
) -> None:
    product = ProductFactory.create(name="Old", price="10.00", tags=[TagFactory.create(name="old")])
    urls = {"list": LIST, "detail": f"{LIST}{product.pk}/", "stats": STATS}
    old = {url: read(url) for url in urls.values()}

    write(product)

    assert {name for name, url in urls.items() if truth(url) != old[url]} == set(pages.split())
    assert {url: read(url) for url in urls.values()} == old


@pytest.mark.django_db
def test_a_page_that_is_read_between_a_save_and_its_tags_stays_without_the_tags(
    admin_api: APIClient,
) -> None:
    product = ProductFactory.create()
    TagFactory.create(name="new")
    seen_meanwhile = []

    def visit(*, action: str, **kwargs: Any) -> None:
        if action == "pre_add":
            seen_meanwhile.append(read(LIST)["results"][0]["tags"])

    # The API first saves the product, which clears the cache, and then sets its tags.
    m2m_changed.connect(visit, sender=Product.tags.through)
    try:
        changed = admin_api.patch(f"{LIST}{product.pk}/", {"tags": ["new"]}, format="json")
    finally:
        m2m_changed.disconnect(visit, sender=Product.tags.through)

    assert changed.json()["tags"] == ["new"]
    assert seen_meanwhile == [[]]
    assert truth(LIST)["results"][0]["tags"] == ["new"]
    assert read(LIST)["results"][0]["tags"] == []


@pytest.mark.django_db
def test_a_product_that_an_update_sells_out_is_still_listed() -> None:
    product = ProductFactory.create(stock=1)
    read(LIST)

    Product.objects.filter(pk=product.pk).update(stock=F("stock") - 1)

    assert truth(LIST)["count"] == 0
    assert read(LIST)["count"] == 1


# The pages of the categories


@pytest.mark.django_db
@pytest.mark.parametrize("page", [CATEGORIES, "/textbook/categories/{slug}/"])
@pytest.mark.parametrize("write", ["add a product", "delete the product", "rename the category"])
def test_no_write_clears_the_category_pages(page: str, write: str) -> None:
    product = ProductFactory.create()
    category = product.category
    url = page.format(slug=category.slug)
    old = read(url)

    if write == "add a product":
        ProductFactory.create(category=category)
    elif write == "delete the product":
        product.delete()
    else:
        category.name = "Renamed"
        category.save()

    assert truth(url) != old
    assert read(url) == old


# delete_pattern


@pytest.mark.django_db
def test_a_save_walks_the_whole_keyspace_with_ten_keys_in_a_round_trip(redis: Any) -> None:
    product = ProductFactory.create()
    round_trips = {}

    for keys in (1_000, 4_000):
        redis.mset({f"other-program:{number}": "" for number in range(keys)})
        with counted_calls(redis, "scan") as scans:
            product.save()
        round_trips[keys] = scans()

    # SCAN returns whole buckets of its hash table, so a round trip brings ten keys or a few more.
    assert 1_000 / 20 < round_trips[1_000] <= 1_000 / 10 + 1
    assert 4_000 / 20 < round_trips[4_000] <= 4_000 / 10 + 1
    assert redis.dbsize() == 4_000


@pytest.mark.django_db
def test_a_save_deletes_unrelated_keys_that_contain_the_pattern(redis: Any) -> None:
    product = ProductFactory.create()
    cache.set("product_list_of_christmas", ["candles"])

    product.save()

    assert cache.get("product_list_of_christmas") is None


# The copy in the browser


@pytest.mark.django_db
@pytest.mark.parametrize("page", [*PRODUCT_PAGES, CATEGORIES])
def test_browsers_keep_a_copy_for_fifteen_minutes_and_cannot_revalidate_it(page: str) -> None:
    url = page.format(pk=ProductFactory.create().pk)

    for answer in (APIClient().get(url), APIClient().get(url)):
        assert get_max_age(answer) == 900
        assert answer["Cache-Control"] == "max-age=900"
        assert answer.has_header("Expires")
        assert not answer.has_header("ETag")
        assert not answer.has_header("Last-Modified")


# The page of an admin


@pytest.fixture
def wilhelmina(admin_user: User) -> User:
    """An admin whose name, unlike "admin", occurs nowhere else in a page."""
    admin_user.username = "wilhelmina"
    admin_user.save()
    return admin_user


@pytest.mark.django_db
def test_a_page_for_an_admin_is_served_to_an_anonymous_client(admin_api: APIClient, wilhelmina: User) -> None:
    ProductFactory.create()
    form = '<form action="/textbook/products/" method="POST"'
    correct = APIClient().get(f"{LIST}?page=1", headers=HTML).content.decode()
    assert wilhelmina.username not in correct
    assert form not in correct

    for_admin = admin_api.get(LIST, headers=HTML)
    for_anonymous = APIClient().get(LIST, headers=HTML)

    assert for_anonymous.content == for_admin.content
    assert wilhelmina.username in for_anonymous.content.decode()
    assert form in for_anonymous.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("page", [*PRODUCT_PAGES, CATEGORIES])
def test_the_csrf_token_in_a_leaked_page_is_valid_for_the_admin(page: str, admin_user: User) -> None:
    product = ProductFactory.create()
    url = page.format(pk=product.pk)
    admin = APIClient(enforce_csrf_checks=True)
    admin.force_login(admin_user)
    admin.get(url, headers=HTML)

    leaked = re.search(r'"csrfToken": "(\w+)"', APIClient().get(url, headers=HTML).content.decode())

    assert leaked
    detail = f"{LIST}{product.pk}/"
    assert admin.delete(detail).status_code == 403
    assert admin.delete(detail, headers={"X-CSRFToken": leaked[1]}).status_code == 204


@pytest.mark.django_db
def test_a_page_for_an_anonymous_client_is_served_to_admins_without_their_forms(
    admin_api: APIClient, wilhelmina: User
) -> None:
    for_anonymous = APIClient().get(LIST, headers=HTML)

    for_admin = admin_api.get(LIST, headers=HTML)

    assert for_admin.content == for_anonymous.content
    assert wilhelmina.username not in for_admin.content.decode()


# Stampede


def test_each_of_many_simultaneous_misses_runs_the_queries_of_the_page(
    transactional_db: None, redis: Any
) -> None:
    product = ProductFactory.create()
    all_are_in_the_view = threading.Barrier(THREADS)
    queries: list[str] = []

    def visit() -> Any:
        has_waited = False

        def wait_for_the_others(execute: Any, sql: str, *rest: Any) -> Any:
            nonlocal has_waited
            if not has_waited:
                all_are_in_the_view.wait(BARRIER_TIMEOUT_SECONDS)
                has_waited = True
            queries.append(sql)
            return execute(sql, *rest)

        try:
            with connection.execute_wrapper(wait_for_the_others):
                return read(LIST)
        finally:
            connection.close()

    with counted_calls(redis, "set") as stored, ThreadPoolExecutor(max_workers=THREADS) as executor:
        answers = [future.result() for future in [executor.submit(visit) for _ in range(THREADS)]]

    assert [[each["id"] for each in answer["results"]] for answer in answers] == [[product.pk]] * THREADS
    # Each request runs three queries (count, products, tags) and stores two keys (page, header key).
    assert len(queries) == 3 * THREADS
    assert stored() == 2 * THREADS


# Unknown parameters


@pytest.mark.django_db
def test_each_value_of_an_unknown_parameter_stores_a_copy_of_the_page(redis: Any) -> None:
    ProductFactory.create()
    urls = [f"{LIST}?utm={number}" for number in range(1, 6)]

    with CaptureQueriesContext(connection) as queries:
        answers = [read(url) for url in urls]

    assert answers == [answers[0]] * 5
    assert len(queries) == 3 * 5
    assert len(stored_pages(redis)) == 5


@pytest.mark.django_db
def test_each_order_of_the_parameters_stores_a_copy_of_the_page(redis: Any) -> None:
    ProductFactory.create()

    assert read(f"{LIST}?page=1&search=teapot") == read(f"{LIST}?search=teapot&page=1")

    assert len(stored_pages(redis)) == 2


# Outage


def caches_at(socket_path: Path, caches: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The shop's ``CACHES``, but with the Redis of the default cache at this socket."""
    default = caches["default"]
    pool = default["OPTIONS"]["CONNECTION_POOL_KWARGS"]
    # Without the connection class of the private Redis, which would start a server.
    pool = {name: value for name, value in pool.items() if name not in ("connection_class", "server")}
    options = {**default["OPTIONS"], "CONNECTION_POOL_KWARGS": pool, **options}
    return {**caches, "default": {**default, "LOCATION": f"unix://{socket_path}?db=1", "OPTIONS": options}}


@pytest.fixture
def no_redis(settings: Settings, tmp_path: Path) -> None:
    settings.CACHES = caches_at(tmp_path / "missing.sock", settings.CACHES)


@pytest.mark.django_db
@pytest.mark.parametrize("page", [*PRODUCT_PAGES, CATEGORIES])
def test_without_redis_every_request_fails_with_a_server_error(page: str, no_redis: None) -> None:
    category = CategoryFactory.create()
    Product.objects.bulk_create([Product(pk=7, name="Kettle", price=1, stock=1, category=category)])
    url = page.format(pk=7)
    assert truth(url)

    with pytest.raises(RedisConnectionError):
        APIClient().get(url)
    client = APIClient()
    client.raise_request_exception = False
    assert client.get(url).status_code == 500


def test_without_redis_a_save_raises_although_it_was_committed(
    transactional_db: None, no_redis: None
) -> None:
    category = CategoryFactory.create()

    with pytest.raises(RedisConnectionError):
        ProductFactory.create(name="Kettle", category=category)

    assert [product.name for product in Product.objects.all()] == ["Kettle"]


def test_without_redis_a_deletion_raises_and_is_rolled_back(transactional_db: None, no_redis: None) -> None:
    category = CategoryFactory.create()
    Product.objects.bulk_create([Product(name="Kettle", price=1, stock=1, category=category)])

    with pytest.raises(RedisConnectionError):
        Product.objects.get().delete()

    assert Product.objects.count() == 1


def test_without_redis_a_failed_change_through_the_api_is_kept_and_a_failed_deletion_is_undone(
    transactional_db: None, admin_api: APIClient, request: pytest.FixtureRequest
) -> None:
    product = ProductFactory.create(name="Old")
    request.getfixturevalue("no_redis")
    admin_api.raise_request_exception = False

    assert admin_api.patch(f"{LIST}{product.pk}/", {"name": "New"}, format="json").status_code == 500
    assert admin_api.delete(f"{LIST}{product.pk}/").status_code == 500

    assert [product.name for product in Product.objects.all()] == ["New"]


def test_without_redis_nothing_can_be_saved_in_the_admin(
    transactional_db: None, client: Client, admin_user: User, request: pytest.FixtureRequest
) -> None:
    product = ProductFactory.create(name="Old")
    request.getfixturevalue("no_redis")
    client.force_login(admin_user)
    client.raise_request_exception = False

    form = model_to_dict(product, fields=["name", "description", "price", "stock", "category"])
    saved = client.post(f"/admin/catalog/product/{product.pk}/change/", {**form, "name": "New"})

    assert saved.status_code == 500
    assert truth(f"{LIST}{product.pk}/")["name"] == "Old"


@pytest.mark.django_db
def test_a_request_waits_for_seconds_if_redis_hangs(settings: Settings) -> None:
    time_limit_seconds = settings.CACHES["default"]["OPTIONS"]["SOCKET_TIMEOUT"]
    with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as hung:
        path = Path(directory) / "hung.sock"
        hung.bind(str(path))
        # The socket accepts connections and never answers.
        hung.listen()
        settings.CACHES = caches_at(path, settings.CACHES, SOCKET_TIMEOUT=0.1)

        started = time.perf_counter()
        with pytest.raises(RedisTimeoutError):
            APIClient().get(LIST)
        tries = (time.perf_counter() - started) // 0.1

    assert tries >= 2
    assert tries * time_limit_seconds >= 2


# Pickle


@pytest.mark.django_db
def test_a_page_is_stored_as_a_pickle(redis: Any) -> None:
    ProductFactory.create()
    read(LIST)
    [key] = stored_pages(redis)

    stored = redis.get(key)

    assert stored[:1] == pickle.PROTO
    assert isinstance(pickle.loads(stored), Response)


class Intruder:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.django_db
def test_a_pickle_in_redis_runs_code_in_django(redis: Any, tmp_path: Path) -> None:
    read(LIST)
    [key] = stored_pages(redis)
    trace = tmp_path / "created-by-the-pickle"

    redis.set(key, pickle.dumps(Intruder(trace)))
    assert not trace.exists()
    read(LIST)

    assert trace.exists()


# Round trips and memory


@pytest.mark.django_db
def test_a_hit_takes_two_round_trips(redis: Any) -> None:
    ProductFactory.create()
    read(LIST)

    with counted_calls(redis, "get") as gets, CaptureQueriesContext(connection) as queries:
        read(LIST)

    assert len(queries) == 0
    assert gets() == 2


@pytest.mark.django_db
def test_a_page_is_stored_as_data_and_as_text_without_compression(redis: Any) -> None:
    ProductFactory.create(description="A kettle of stoneware that was fired twice")
    body = APIClient().get(LIST).content
    [key] = stored_pages(redis)

    stored = redis.get(key)

    assert stored.count(body) == 1
    assert stored.count(b"A kettle of stoneware that was fired twice") == 2
    page = pickle.loads(stored)
    assert page.content == body
    assert page.data["results"][0]["description"] == "A kettle of stoneware that was fired twice"
