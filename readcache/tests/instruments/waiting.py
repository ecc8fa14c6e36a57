from __future__ import annotations

import time
from collections.abc import Callable

# Longer than anything takes that a test waits for, on the busiest machine.
PATIENCE_SECONDS = 30
POLL_SECONDS = 0.002


def wait_until(condition: Callable[[], object]) -> None:
    """Fails the test after ``PATIENCE_SECONDS``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"Not true within {PATIENCE_SECONDS} seconds."
        time.sleep(POLL_SECONDS)
