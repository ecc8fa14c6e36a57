from __future__ import annotations

import time
from collections.abc import Callable

# Longer than any step that a test waits for takes, on a busy machine too.
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.002


def wait_until(condition: Callable[[], object]) -> None:
    """Fails the test after ``PATIENCE_SECONDS``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"Not true within {PATIENCE_SECONDS} seconds."
        time.sleep(POLL_SECONDS)
