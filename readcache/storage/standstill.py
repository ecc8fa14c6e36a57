"""Workers of uWSGI without threads, which stand still between two requests.

Before version 2.0.27, uWSGI runs a program's threads only while it serves a request, unless it is told
otherwise. Pending rotations would wait for the next request of the worker, so the worker waits for Redis
before it stands still.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from typing import Any

logger = logging.getLogger(__name__)

OPTIONS_FOR_THREADS = {"enable-threads", "threads"}
FIRST_VERSION_WITH_THREADS = (2, 0, 27)


@cache
def stands_still_between_requests() -> bool:
    """Whether no thread of this process runs between two requests. Warns once if so."""
    try:
        uwsgi: Any = import_module("uwsgi")
    except ImportError:
        return False
    if OPTIONS_FOR_THREADS & uwsgi.opt.keys() or uwsgi.version_info[:3] >= FIRST_VERSION_WITH_THREADS:
        return False
    logger.warning(
        "uWSGI runs no threads between requests, so this worker waits when Redis fails during a write. "
        "Set enable-threads = true."
    )
    return True
