"""Data that was read before the tokens, in an older snapshot, or in another thread: not stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection
from django.test import Client
from django.urls import path
from pytest_django import Settings
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from library.models import Author, Book, Topic
from readcache import CachedReadMixin, ReadCache
from readcache.storage.current import store

pytestmark = pytest.mark.django_db(transaction=True)
T = TypeVar("T")


class TitleView(CachedReadMixin, APIView):
    """Answers with the title that the test's kind of view has read."""

    permission_classes = [AllowAny]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response({"title": self.title()})

    def title(self) -> str:
        return Book.objects.get().title


class ReadsInSetup(TitleView):
    read_cache = ReadCache("reads_in_setup", depends_on=[Book], timeout=60)

    def setup(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.early_title = Book.objects.get().title if Book.objects.exists() else ""

    def title(self) -> str:
        return self.early_title


class ReadingPermission(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        view.early_title = Book.objects.get().title
        return True


class ReadsInPermission(ReadsInSetup):
    read_cache = ReadCache("reads_in_permission", depends_on=[Book], timeout=60)
    permission_classes = [ReadingPermission]

    def setup(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super(ReadsInSetup, self).setup(request, *args, **kwargs)


class ReadsInMiddleware(TitleView):
    read_cache = ReadCache("reads_in_middleware", depends_on=[Book], timeout=60)

    def title(self) -> str:
        title: str = self.request._request.early_title  # type: ignore[attr-defined]
        return title


def reading_middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def middleware(request: Any) -> Any:
        if request.path == "/middleware/":
            request.early_title = Book.objects.get().title
        return get_response(request)

    return middleware


class ReadsInThread(TitleView):
    read_cache = ReadCache("reads_in_thread", depends_on=[Book], timeout=60)

    def title(self) -> str:
        def read() -> int:
            try:
                return Topic.objects.count()
            finally:
                connection.close()

        with ThreadPoolExecutor(max_workers=1) as executor:
            return f"{super().title()} {executor.submit(read).result()}"


class ReadsDeclaredInThread(ReadsInThread):
    read_cache = ReadCache("reads_declared_in_thread", depends_on=[Book, Topic], timeout=60)


class StartsThreadEarly(ReadsInThread):
    """The thread reads before the tokens, which it does for the handler."""

    read_cache = ReadCache("starts_thread_early", depends_on=[Book], timeout=60)

    def setup(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        with ThreadPoolExecutor(max_workers=1) as executor:
            self.early_title = executor.submit(in_a_connection_of_its_own, first_title).result()

    def title(self) -> str:
        return self.early_title


class ReadsInNestedThread(TitleView):
    read_cache = ReadCache("reads_in_nested_thread", depends_on=[Book], timeout=60)

    def title(self) -> str:
        def count_in_another_thread() -> int:
            with ThreadPoolExecutor(max_workers=1) as executor:
                return executor.submit(in_a_connection_of_its_own, Topic.objects.count).result()

        with ThreadPoolExecutor(max_workers=1) as executor:
            return f"{super().title()} {executor.submit(count_in_another_thread).result()}"


class ReadsInEventLoop(TitleView):
    """``thread_sensitive`` says whether asgiref runs the read in the thread of the view."""

    read_cache = ReadCache("reads_in_event_loop", depends_on=[Book], timeout=60)
    thread_sensitive = True

    def title(self) -> str:
        read = sync_to_async(self._count, thread_sensitive=self.thread_sensitive)
        return f"{super().title()} {async_to_sync(read)()}"

    def _count(self) -> int:
        if self.thread_sensitive:
            return Topic.objects.count()
        return in_a_connection_of_its_own(Topic.objects.count)


class ReadsInThreadOfEventLoop(ReadsInEventLoop):
    read_cache = ReadCache("reads_in_thread_of_event_loop", depends_on=[Book], timeout=60)
    thread_sensitive = False


class RunsEventLoop(ReadsInEventLoop):
    """An event loop of the view's own, whose reads run in asgiref's one thread."""

    read_cache = ReadCache("runs_event_loop", depends_on=[Book], timeout=60)

    def title(self) -> str:
        def count() -> int:
            return in_a_connection_of_its_own(Topic.objects.count)

        async def read() -> int:
            return await sync_to_async(count)()

        return f"{Book.objects.get().title} {asyncio.run(read())}"


def first_title() -> str:
    book = Book.objects.first()
    return book.title if book else ""


def in_a_connection_of_its_own(read: Callable[[], T]) -> T:
    try:
        return read()
    finally:
        connection.close()


urlpatterns = [
    path("setup/", ReadsInSetup.as_view()),
    path("permission/", ReadsInPermission.as_view()),
    path("middleware/", ReadsInMiddleware.as_view()),
    path("thread/", ReadsInThread.as_view()),
    path("declared-thread/", ReadsDeclaredInThread.as_view()),
    path("early-thread/", StartsThreadEarly.as_view()),
    path("nested-thread/", ReadsInNestedThread.as_view()),
    path("event-loop/", ReadsInEventLoop.as_view()),
    path("event-loop-thread/", ReadsInThreadOfEventLoop.as_view()),
    path("own-event-loop/", RunsEventLoop.as_view()),
]


@pytest.fixture(autouse=True)
def _urls(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.reading_middleware"]


@pytest.fixture(autouse=True)
def book() -> Book:
    author = Author.objects.create(name="Jane Austen", slug="jane-austen")
    return Book.objects.create(title="Old", price="10.00", copies=1, author=author)


def ask(url: str) -> tuple[str, str]:
    response: Any = Client(headers={"Accept": "application/json"}).get(url)
    return response["Cache-Status"].partition("; ")[2], response.json()["title"]


@pytest.mark.parametrize("url", ["/setup/", "/permission/"])
def test_data_read_before_the_tokens_is_stored_only_if_no_write_came_between(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens were read once before: what was read after that is as young as they are."""
    # There are no tokens before the first request: they are made after the early reads.
    assert ask(url) == ("fwd=uri-miss; detail=read-before-tokens", "Old")
    assert ask(url) == ("fwd=uri-miss; stored", "Old")
    begin_fill = store().begin_fill

    def begin_after_a_write(*arguments: Any) -> Any:
        Book.objects.update(title="New")
        return begin_fill(*arguments)

    Book.objects.update(title="Old")
    with monkeypatch.context() as patch:
        patch.setattr(store(), "begin_fill", begin_after_a_write)
        assert ask(url) == ("fwd=stale; detail=read-before-tokens", "Old")

    assert ask(url)[1] == "New"


def test_data_that_a_middleware_read_is_not_stored() -> None:
    for _ in range(2):
        assert ask("/middleware/") == ("fwd=uri-miss; detail=read-before-tokens", "Old")


def test_an_undeclared_table_that_a_helper_thread_reads_keeps_the_answer_from_being_stored() -> None:
    assert ask("/thread/") == ("fwd=uri-miss; detail=helper-thread", "Old 0")
    Topic.objects.create(name="new")
    assert ask("/thread/")[1] == "Old 1"


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("/nested-thread/", "helper-thread"),
        ("/event-loop/", "undeclared-table"),
        ("/event-loop-thread/", "helper-thread"),
        ("/own-event-loop/", "helper-thread"),
    ],
)
def test_an_undeclared_table_is_noticed_in_whatever_thread_it_is_read(
    url: str, detail: str, settings: Settings
) -> None:
    settings.READ_CACHE_STRICT = False

    assert ask(url) == (f"fwd=uri-miss; detail={detail}", "Old 0")
    Topic.objects.create(name="new")
    assert ask(url)[1] == "Old 1"


def test_a_thread_that_reads_before_the_tokens_keeps_the_answer_from_being_stored() -> None:
    """Until the tokens are there, which the first request makes: see the test above of setup()."""
    assert ask("/early-thread/") == ("fwd=uri-miss; detail=read-before-tokens", "Old")


def test_a_declared_table_may_be_read_in_a_helper_thread() -> None:
    assert ask("/declared-thread/") == ("fwd=uri-miss; stored", "Old 0")
    Topic.objects.create(name="new")
    assert ask("/declared-thread/") == ("fwd=stale; stored", "Old 1")


def test_a_page_asked_for_while_rows_are_still_being_fetched_is_not_stored(settings: Settings) -> None:
    """On SQLite the rows that come and the page that is filled are of one snapshot, which may be old."""
    settings.ROOT_URLCONF = "library.urls"
    author = Author.objects.get()
    Book.objects.bulk_create(
        Book(title=f"Book {number}", price=1, copies=1, author=author) for number in range(5)
    )
    client = Client(headers={"Accept": "application/json"})
    for book in Book.objects.iterator(chunk_size=2):
        status = client.get(f"/books/{book.pk}/")["Cache-Status"]
        break

    expected = "detail=transaction" if connection.vendor == "sqlite" else "stored"
    assert status.endswith(expected)
    del book
    assert client.get("/authors/")["Cache-Status"].endswith("stored")
