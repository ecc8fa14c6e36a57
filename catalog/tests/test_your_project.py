"""The project of docs/your-project.md, put together from that page alone, and its test run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from readcache.testing import PrivateRedis

MODELS = """
from django.db import models

class Author(models.Model):
    name = models.CharField(max_length=100)

class Book(models.Model):
    title = models.CharField(max_length=100)
    authors = models.ManyToManyField(Author)
"""
IMPORTS = """
from rest_framework import generics, serializers, viewsets
from rest_framework.permissions import AllowAny, IsAuthenticatedOrReadOnly
from library.models import Author, Book

class BookSerializer(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ["title", "authors"]
        depth = 1
"""
REST_OF_BOOK_LIST = """
    queryset = Book.objects.prefetch_related("authors").order_by("pk")
    serializer_class = BookSerializer
"""
URLS = """
from django.urls import path
from library import views

urlpatterns = [
    path("books/", views.BookList.as_view()),
    path("authors/", views.AuthorViewSet.as_view({"get": "list"})),
]
"""
SETTINGS = """
import os
SECRET_KEY = "for-tests-only"
ROOT_URLCONF = "urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "library.sqlite3"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
"""


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    """The page's Python, in its order."""
    page = (ROOT / "docs" / "your-project.md").read_text()
    found = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = ("settings", "apps", "views", "rotating", "test settings", "tests")
    return dict(zip(names, found, strict=True))


@pytest.fixture
def project(blocks: dict[str, str], private_redis: PrivateRedis, tmp_path: Path) -> Path:
    app = tmp_path / "library"
    app.mkdir()
    settings = SETTINGS + blocks["settings"] + blocks["test settings"]
    files = {
        "settings.py": settings.replace("redis://127.0.0.1:6379/2", private_redis.url(database=3)),
        "urls.py": URLS,
        "library/__init__.py": "",
        "library/apps.py": blocks["apps"],
        "library/models.py": MODELS,
        "library/views.py": IMPORTS + blocks["views"].replace("    ...\n", REST_OF_BOOK_LIST),
        "library/tests.py": "from django.test import TransactionTestCase\n"
        f"from library.models import Author, Book\n{blocks['tests']}",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    private_redis.ensure_running()
    return tmp_path


def manage(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments, "--settings", "settings", "--pythonpath", "."],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_project_of_the_page_passes_its_test(project: Path) -> None:
    done = manage(project, "test")

    assert "Ran 1 test" in done.stderr
    assert done.returncode == 0, done.stderr


def test_the_project_of_the_page_needs_what_it_declares(project: Path) -> None:
    views = project / "library" / "views.py"
    views.write_text(views.read_text().replace("[Book, Author, Book", "[Book, Book"))

    done = manage(project, "test")

    assert "Undeclared" in done.stderr
    assert done.returncode == 1
