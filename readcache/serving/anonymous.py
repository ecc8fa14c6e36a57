"""Hides from a view who asks, while it computes a response for everyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework.request import Request

# The attributes in which Django REST framework keeps the result of authentication.
AUTHENTICATION = ("_user", "_auth", "_authenticator")


@contextmanager
def as_anonymous(request: Request) -> Iterator[Callable[[], bool]]:
    """Inside the block, the request has no credentials. Yields whether its session has been read so far."""
    state: dict[str, Any] = request.__dict__
    authenticated: dict[str, Any] = {name: state[name] for name in AUTHENTICATION if name in state}
    http_user = getattr(request._request, "user", None)
    session = getattr(request._request, "session", None)
    was_accessed = session is not None and session.accessed
    # What Django REST framework does for a request without credentials.
    request._not_authenticated()  # type: ignore[attr-defined]
    if session is not None:
        session.accessed = False
    try:
        yield lambda: session is not None and session.accessed
    finally:
        if session is not None:
            session.accessed = session.accessed or was_accessed
        for name in AUTHENTICATION:
            state.pop(name, None)
        state.update(authenticated)
        if http_user is not None:
            request._request.user = http_user
