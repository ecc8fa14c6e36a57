"""These tests run without the receivers of the textbook, whose work could hide a fault of the read cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalog import signals


@pytest.fixture(autouse=True)
def _no_textbook() -> Iterator[None]:
    with signals.disconnected():
        yield
