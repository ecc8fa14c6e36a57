from __future__ import annotations

import psutil
import pytest


@pytest.fixture(scope="session", autouse=True)
def _temporary_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Theirs is made before any run has one, in which it would be, and with which it would go."""
    tmp_path_factory.getbasetemp()


def children() -> set[int]:
    """By which a test knows what it has left. One of before may have gone meanwhile: <=, not ==."""
    return {child.pid for child in psutil.Process().children(recursive=True)}
