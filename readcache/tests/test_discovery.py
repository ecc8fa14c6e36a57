"""A process that writes learns what the views declare, in projects that are made for these tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import pytest

import readcache
from readcache.testing import PrivateRedis

SETTINGS = """
INSTALLED_APPS = {apps!r}
SECRET_KEY = "for-tests-only"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
# Longer than a test on a busy machine.
READ_CACHE_LEASE_SECONDS = 3600
READ_CACHE_DECLARATION_SECONDS = 0
READ_CACHE_READ_SECONDS = READ_CACHE_WRITE_SECONDS = 10
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "project.sqlite3"}}}}
CACHES = {{
    "default": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    "read": {{
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": {redis_url!r},
        "OPTIONS": {{"SOCKET_CONNECT_TIMEOUT": 10, "SOCKET_TIMEOUT": 10}},
    }},
}}
REST_FRAMEWORK = {{
    "DEFAULT_AUTHENTICATION_CLASSES": ["bookshop.authentication.ApiKeyAuthentication"],
    "UNAUTHENTICATED_USER": None,
}}
LOGGING = {{
    "version": 1,
    "handlers": {{"stderr": {{"class": "logging.StreamHandler"}}}},
    "loggers": {{"readcache": {{"handlers": ["stderr"]}}}},
}}
"""
MODELS = """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=100)

class ApiKey(models.Model):
    secret = models.CharField(max_length=100)
"""
# As in many projects: importing the authentication of Django REST framework imports the models.
AUTHENTICATION = """
from rest_framework.authentication import BaseAuthentication
from bookshop.models import ApiKey

class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request):
        return None
"""
VIEWS = """
from rest_framework import generics, permissions, serializers
from bookshop.models import Book
from readcache import CachedReadMixin, ReadCache

class BookSerializer(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ["title"]

class BookList(CachedReadMixin, generics.ListAPIView):
    read_cache = ReadCache("books", depends_on=[Book], timeout=900)
    queryset = Book.objects.order_by("pk")
    serializer_class = BookSerializer
    permission_classes = [permissions.AllowAny]
"""
URLS = """
from django.urls import path
from bookshop.views import BookList

urlpatterns = [path("books/", BookList.as_view())]
"""
START = "import django, sys; django.setup()\n"
MAKE_TABLES = (
    START
    + """
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
"""
)
ASK = (
    START
    + """
from django.test import Client
for _ in sys.argv:
    response = Client().get("/books/")
    print(response["Cache-Status"], response.content.decode())
"""
)
WRITE = (
    START
    + """
from bookshop.models import Book
assert "bookshop.views" not in sys.modules
Book.objects.create(title="Persuasion")
print("bookshop.views" in sys.modules)
"""
)
WARNING = "Cannot import ROOT_URLCONF 'urls': "


@dataclass(frozen=True)
class Project:
    folder: Path

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script in a process of its own, which must succeed."""
        ended = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=self.folder,
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(Path(readcache.__file__).parents[1]),
                "DJANGO_SETTINGS_MODULE": "settings",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateRedis]:
    server = PrivateRedis(tmp_path / "redis")
    server.ensure_running()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has the project's tables, to be copied."""
    project = new_project(tmp_path_factory.mktemp("tables") / "project", redis_url="redis://127.0.0.1:1/2")
    project.run(MAKE_TABLES)
    return project.folder / "project.sqlite3"


@pytest.fixture
def project(tmp_path: Path, server: PrivateRedis, tables: Path) -> Project:
    project = new_project(tmp_path / "project", redis_url=server.url(database=2))
    shutil.copy(tables, project.folder)
    return project


def new_project(folder: Path, *, redis_url: str) -> Project:
    project = Project(folder)
    (project.folder / "bookshop").mkdir(parents=True)
    install(project, ["readcache", "bookshop"], redis_url=redis_url)
    project.write("urls.py", URLS)
    project.write("bookshop/__init__.py", "")
    project.write("bookshop/models.py", MODELS)
    project.write("bookshop/authentication.py", AUTHENTICATION)
    project.write("bookshop/views.py", VIEWS)
    return project


def install(project: Project, apps: list[str], *, redis_url: str) -> None:
    project.write("settings.py", SETTINGS.format(apps=apps, redis_url=redis_url))


def warnings_in(ended: subprocess.CompletedProcess[str]) -> int:
    return ended.stderr.count(WARNING)


def test_a_process_that_imported_no_view_invalidates_what_the_views_cached(project: Project) -> None:
    first, second = project.run(ASK, "again").stdout.splitlines()
    assert first == "readcache; fwd=uri-miss; stored []"
    assert second.startswith("readcache; hit; ")

    written = project.run(WRITE)

    assert written.stdout == "True\n"
    assert written.stderr == ""
    assert project.run(ASK).stdout == 'readcache; fwd=stale; stored [{"title":"Persuasion"}]\n'


def test_a_process_that_only_reads_does_not_import_the_views(project: Project) -> None:
    read = project.run(
        START
        + "from bookshop.models import Book\n"
        + "print(Book.objects.count(), 'bookshop.views' in sys.modules)"
    )

    assert read.stdout == "0 False\n"


@pytest.mark.parametrize(
    ("urls", "error"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise ZeroDivisionError('in the views')", "ZeroDivisionError: in the views"),
        ("urlpatterns = [", "SyntaxError: "),
    ],
    ids=["a missing module", "an error of its own", "a syntax error"],
)
def test_views_that_cannot_be_imported_are_reported_once_and_the_writes_go_on(
    urls: str, error: str, project: Project
) -> None:
    project.run(ASK)
    project.write("urls.py", urls)

    ended = project.run(
        START
        + "from bookshop.models import Book\n"
        + "for title in ('Emma', 'Persuasion'): Book.objects.create(title=title)\n"
        + "print(Book.objects.count())"
    )

    assert ended.stdout == "2\n"
    assert warnings_in(ended) == 1
    assert f"{WARNING}{error}" in ended.stderr
    assert "import the views in your AppConfig.ready()" in ended.stderr

    # Redis has told what the views depend on.
    project.write("urls.py", URLS)
    assert project.run(ASK).stdout.startswith('readcache; fwd=stale; stored [{"title":"Emma"},')


def test_a_project_without_a_root_urlconf_writes_without_a_warning(project: Project) -> None:
    settings = (project.folder / "settings.py").read_text()
    project.write("settings.py", settings.replace('ROOT_URLCONF = "urls"', ""))

    written = project.run(WRITE)

    assert (written.stdout, written.stderr) == ("False\n", "")


def test_views_that_write_while_they_are_imported_are_imported_once(project: Project) -> None:
    project.run(ASK)
    project.write(
        "urls.py", URLS + "\nfrom bookshop.models import ApiKey\nApiKey.objects.create()\nprint('imported')"
    )

    assert project.run(WRITE).stdout == "imported\nTrue\n"
    assert project.run(ASK).stdout.splitlines()[-1].startswith("readcache; fwd=stale; stored ")


def test_a_write_of_another_thread_waits_for_the_import(project: Project) -> None:
    project.run(ASK)
    # The first thread imports the views, which takes until the second thread writes, or half a second.
    project.write("urls.py", "import clock; clock.importing.set(); clock.has_written.wait(0.5)\n" + URLS)
    project.write(
        "clock.py", "import threading\nimporting, has_written = threading.Event(), threading.Event()"
    )

    ended = project.run(
        START
        + """
import clock, threading
from bookshop.models import ApiKey, Book
from django.db import connection
from readcache import declarations

def write_first():
    ApiKey.objects.count()
    ApiKey.objects.update(secret="x")
    connection.close()

def write_second():
    clock.importing.wait(10)
    Book.objects.update(title="Persuasion")
    clock.has_written.set()
    print(sorted(declarations.declared_tags()))
    connection.close()

threads = [threading.Thread(target=write) for write in (write_first, write_second)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    )

    assert ended.stdout == "['bookshop_book']\n"
    assert project.run(ASK).stdout.startswith("readcache; fwd=stale; stored ")


def test_the_first_write_of_a_process_leaves_entries_alive_that_do_not_depend_on_it(project: Project) -> None:
    project.run(ASK)

    project.run(START + "from bookshop.models import ApiKey\nApiKey.objects.update(secret='x')")

    assert project.run(ASK).stdout.startswith("readcache; hit; ")


def test_a_write_before_the_apps_are_ready_leaves_the_import_to_a_later_write(project: Project) -> None:
    project.write(
        "bookshop/apps.py",
        "from django.apps import AppConfig\n"
        "class BookshopConfig(AppConfig):\n"
        "    name = 'bookshop'\n"
        "    def ready(self):\n"
        "        from bookshop.models import ApiKey\n"
        "        ApiKey.objects.update(secret='x')\n",
    )

    assert project.run(WRITE).stdout == "True\n"


@pytest.mark.parametrize("apps", [*permutations(["rest_framework", "readcache", "bookshop"])], ids=" ".join)
def test_the_order_of_the_apps_does_not_matter_to_an_authentication_class_that_imports_models(
    apps: tuple[str, ...], project: Project, server: PrivateRedis
) -> None:
    install(project, list(apps), redis_url=server.url(database=2))

    first, second = project.run(ASK, "again").stdout.splitlines()
    assert first == "readcache; fwd=uri-miss; stored []"
    assert second.startswith("readcache; hit; ")


def test_the_public_names_can_be_imported_before_the_apps(project: Project) -> None:
    imported = project.run(
        "import readcache, sys\n"
        "assert 'rest_framework' not in sys.modules\n"
        "import django; django.setup()\n"
        "from readcache import CachedReadMixin, ReadCache, rotate, rotated\n"
        "print(set(readcache.__all__) <= set(dir(readcache)))"
    )

    assert imported.stdout == "True\n"
