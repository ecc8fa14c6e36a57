from __future__ import annotations

import pytest

from catalog.tests.commands.small_manage import make_experiments_small

# manage.py with the small experiments, for a process of its own.
SMALL_MANAGE = ("-m", "catalog.tests.commands.small_manage")


@pytest.fixture
def small_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default ones with little to do. Their own tests go through all of it."""
    make_experiments_small(monkeypatch.setattr)
