from __future__ import annotations

import pytest

from catalog.benchmarks.experiments import invalidation, latency
from catalog.benchmarks.plan import Scale
from catalog.benchmarks.writes import KINDS


@pytest.fixture
def small_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default ones with little to do. Their own tests go through all of it."""
    chosen = [kind for kind in KINDS if kind.name in ("save", "update")]
    monkeypatch.setattr(invalidation, "KINDS", chosen)
    monkeypatch.setattr(latency, "MIX_REQUESTS", Scale(quick=5, normal=5, thorough=5))
