"""The trial of docs/your-project.md passes for the page as it is, and fails where it should."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from readcache.testing import PrivateRedis
from tools.wheel.page import ROOT, Page, read_page
from tools.wheel.project import Project, TrialFailed
from tools.wheel.trial import try_page, try_tests


@pytest.fixture
def page() -> Page:
    return read_page()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that is still to be made, with the engine of this checkout."""
    return Project(folder=tmp_path / "project", python=Path(sys.executable), import_from=ROOT)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    server = PrivateRedis(tmp_path / "redis")
    server.ensure_running()
    yield server.url(database=2)
    server.stop()


def test_the_page_keeps_its_promises(project: Project, page: Page, redis_url: str) -> None:
    try_page(project, page, redis_url=redis_url)
    try_tests(project, page)


def test_a_view_that_does_not_declare_what_it_reads_fails_the_trial(
    project: Project, page: Page, redis_url: str
) -> None:
    forgetful = replace(page, cached_view=page.cached_view.replace("[Book, Author]", "[Book, Book]"))

    with pytest.raises(TrialFailed, match="detail=undeclared-table"):
        try_page(project, forgetful, redis_url=redis_url)
    with pytest.raises(TrialFailed, match="Undeclared"):
        try_tests(project, forgetful)


def test_a_project_without_the_app_fails_the_trial(project: Project, page: Page, redis_url: str) -> None:
    blind = replace(page, settings=page.settings.replace('"readcache"', '"django.contrib.humanize"'))

    with pytest.raises(TrialFailed, match='Add "readcache" to INSTALLED_APPS'):
        try_page(project, blind, redis_url=redis_url)


def test_a_page_that_grew_fails_the_trial(project: Project, page: Page, redis_url: str) -> None:
    longer = replace(page, settings=page.settings + "READ_CACHE_STRICT = True\n")

    with pytest.raises(TrialFailed, match="The page promises 9 lines and has 10"):
        try_page(project, longer, redis_url=redis_url)


def test_a_suite_without_the_tests_of_the_page_fails_the_trial(
    project: Project, page: Page, redis_url: str
) -> None:
    try_page(project, page, redis_url=redis_url)

    with pytest.raises(TrialFailed, match=r"Expected 'Ran 1 test' in:[\s\S]*Ran 0 tests"):
        try_tests(project, replace(page, tests="pass\n"))
