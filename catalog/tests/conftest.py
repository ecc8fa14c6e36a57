from __future__ import annotations

import pytest

from catalog.tests.commands.small_manage import make_experiments_small

# Runs manage.py with small experiments, in a separate process.
SMALL_MANAGE = ("-m", "catalog.tests.commands.small_manage")


@pytest.fixture
def small_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the default experiments for tests of commands. Their own tests measure everything."""
    make_experiments_small(monkeypatch.setattr)
