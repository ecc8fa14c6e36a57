"""The engine's tests run with the textbook's receivers off, whose work must not hide a fault of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalog import signals


@pytest.fixture(autouse=True)
def _no_textbook() -> Iterator[None]:
    with signals.disconnected():
        yield
