"""Importing the views, for processes that write and serve no request: shells, workers, cron jobs.

A write changes the tokens of the tables that declarations name, and a declaration is made when the module
of its view is imported. Every view that can be asked is imported by the root URLconf. A process that cannot
import it learns from Redis what other processes have declared.
"""

from __future__ import annotations

import logging
import threading
from importlib import import_module

from django.apps import apps
from django.conf import settings

logger = logging.getLogger(__name__)


class _State(threading.local):
    is_importing = False


_this_thread = _State()
_lock = threading.Lock()
_is_done = False


def import_views() -> bool:
    """Import ``ROOT_URLCONF`` once; returns whether this call did. Does nothing until every app is ready.

    Never raises.

    Two threads import it at the same time if both write first: the import system makes one wait for the
    other, and resolves the deadlock if either already imports a module that the other needs.
    """
    if _is_done or _this_thread.is_importing or not apps.ready:
        return False
    _this_thread.is_importing = True
    try:
        _import_root_urlconf()
    finally:
        _this_thread.is_importing = False
    return True


def _import_root_urlconf() -> None:
    name = getattr(settings, "ROOT_URLCONF", None)
    failure: Exception | None = None
    try:
        if name:
            import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever a project's modules raise: the write goes on
        failure = error
    if _finish() and failure is not None:
        logger.warning(
            "Cannot import ROOT_URLCONF %r: %s: %s. This process learns only from Redis what the views of "
            "other processes depend on. Make it importable here, or import the views in your "
            "AppConfig.ready().",
            name,
            type(failure).__name__,
            failure,
            exc_info=failure,
        )


def _finish() -> bool:
    """Whether this call is the first."""
    global _is_done
    with _lock:
        was_done, _is_done = _is_done, True
    return not was_done
