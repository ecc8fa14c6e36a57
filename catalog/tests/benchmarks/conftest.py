from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from django.urls import clear_url_caches

from catalog.benchmarks.strategies import plug_ins


@pytest.fixture(scope="session", autouse=True)
def _temporary_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Theirs is made before any run has one, in which it would be, and with which it would go."""
    tmp_path_factory.getbasetemp()


@pytest.fixture(autouse=True)
def _no_plug_in_is_left() -> Iterator[None]:
    yield
    if plug_ins.loaded():
        plug_ins._loaded.clear()
        plug_ins.url_patterns.clear()
        clear_url_caches()


def children() -> set[int]:
    """By which a test knows what it has left. One of before may have gone meanwhile: <=, not ==."""
    return {child.pid for child in psutil.Process().children(recursive=True)}
