"""Scratch accounts: a user and an admin whom a benchmark creates and removes, and browsers for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client
from django.utils import timezone

from catalog.benchmarks.sandbox.rows import LABEL
from catalog.benchmarks.sandbox.run_lock import new_suffix
from readcache.testing.interrupts import interrupts_deferred


@dataclass(frozen=True, kw_only=True)
class Account:
    """``user`` is ``None`` for a visitor, who has no account. ``role`` is part of the figures' names."""

    role: str
    user: User | None = None

    @property
    def username(self) -> str | None:
        return self.user.get_username() if self.user else None

    @property
    def is_admin(self) -> bool:
        return self.user is not None and self.user.is_staff


VISITOR = Account(role="visitor")


@contextmanager
def scratch_accounts() -> Iterator[tuple[Account, ...]]:
    """A visitor, a user and an admin. The accounts have no password, so nobody else can log in."""
    # The names are random, so a page contains one only if it shows the account.
    label = f"{LABEL}-{new_suffix()}"
    began = timezone.now()
    try:
        with transaction.atomic():
            user, admin = (
                _make_user(f"{label}-{role}", is_admin=role == "admin") for role in ("user", "admin")
            )
        yield VISITOR, Account(role="user", user=user), Account(role="admin", user=admin)
    finally:
        with interrupts_deferred(), transaction.atomic():
            remove_accounts(label, since=began)


def remove_accounts(label: str, *, since: datetime) -> int:
    """Remove the accounts whose names start with the label, and return how many there were.

    Also removes their sessions that began since then, because an interrupted child process leaves sessions.
    """
    users = User.objects.filter(username__startswith=label)
    keys = {str(key) for key in users.values_list("pk", flat=True)}
    earliest = since + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    for session in Session.objects.filter(expire_date__gte=earliest) if keys else ():
        if session.get_decoded().get(SESSION_KEY) in keys:
            session.delete()
    users.delete()
    return len(keys)


def _make_user(username: str, *, is_admin: bool) -> User:
    # create_user() would hash a password, which takes a tenth of a second on purpose.
    user = User(username=username, is_staff=is_admin, is_superuser=is_admin)
    user.set_unusable_password()
    user.save()
    return user


@contextmanager
def browsing(account: Account, *, accept: str) -> Iterator[Client]:
    """The test client as the browser of one account. It is logged in, and logged out at the end."""
    # An exception in a view becomes a response with status 500.
    browser = Client(headers={"accept": accept}, raise_request_exception=False)
    try:
        if account.user:
            with interrupts_deferred():
                browser.force_login(account.user)
        yield browser
    finally:
        log_out(browser)


def log_out(browser: Client) -> None:
    """Remove the session. The CSRF cookie stays, as with Django's own view."""
    if settings.SESSION_COOKIE_NAME not in browser.cookies:
        # The client would create a session only to remove it.
        return
    kept = browser.cookies.get(settings.CSRF_COOKIE_NAME)
    with interrupts_deferred():
        browser.logout()
    if kept:
        browser.cookies[settings.CSRF_COOKIE_NAME] = kept.value
