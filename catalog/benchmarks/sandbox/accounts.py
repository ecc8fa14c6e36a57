"""People of a benchmark's own: a visitor, a user and an admin, whose accounts are gone at the end."""

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

from catalog.benchmarks.sandbox.rows import MARK
from catalog.benchmarks.sandbox.run_lock import new_mark
from readcache.testing.interrupts import interrupts_deferred


@dataclass(frozen=True, kw_only=True)
class Person:
    """``user`` is ``None`` for who has no account."""

    role: str
    user: User | None = None

    @property
    def username(self) -> str | None:
        return self.user.get_username() if self.user else None

    @property
    def is_admin(self) -> bool:
        return self.user is not None and self.user.is_staff


VISITOR = Person(role="visitor")


@contextmanager
def own_people() -> Iterator[tuple[Person, ...]]:
    """Visitor, user and admin. Nobody can log in as them: they have no password."""
    # Random, so that it is in no text of a page but where the page names its reader.
    mark = f"{MARK}-{new_mark()}"
    began = timezone.now()
    try:
        with transaction.atomic():
            user, admin = (
                _make_user(f"{mark}-{role}", is_staff=role == "admin") for role in ("user", "admin")
            )
        yield VISITOR, Person(role="user", user=user), Person(role="admin", user=admin)
    finally:
        with interrupts_deferred(), transaction.atomic():
            remove_people(mark, since=began)


def remove_people(mark: str, *, since: datetime) -> int:
    """Those whose names start with it, with sessions of theirs that began since then. How many they were.

    A process of a strategy's own that is interrupted leaves its sessions.
    """
    people = User.objects.filter(username__startswith=mark)
    keys = {str(key) for key in people.values_list("pk", flat=True)}
    earliest = since + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    for session in Session.objects.filter(expire_date__gte=earliest) if keys else ():
        if session.get_decoded().get(SESSION_KEY) in keys:
            session.delete()
    people.delete()
    return len(keys)


def _make_user(username: str, *, is_staff: bool) -> User:
    # Not by create_user(): a hash of a password takes a tenth of a second on purpose.
    user = User(username=username, is_staff=is_staff)
    user.set_unusable_password()
    user.save()
    return user


class Browser:
    """A browser of one person's: the test client, whose cookies are kept from page to page."""

    def __init__(self, person: Person, *, accept: str) -> None:
        # An error of a view is an answer like any other.
        self.client = Client(headers={"accept": accept}, raise_request_exception=False)
        self._person = person

    def log_in(self) -> None:
        if self._person.user:
            with interrupts_deferred():
                self.client.force_login(self._person.user)

    def log_out(self) -> None:
        """Removes the session. As Django's own view it leaves the browser the cookie against CSRF."""
        cookies = self.client.cookies
        if settings.SESSION_COOKIE_NAME not in cookies:
            # The client would make a session only to remove it.
            return
        kept = cookies.get(settings.CSRF_COOKIE_NAME)
        with interrupts_deferred():
            self.client.logout()
        if kept:
            self.client.cookies[settings.CSRF_COOKIE_NAME] = kept.value


@contextmanager
def browsing(person: Person, *, accept: str) -> Iterator[Browser]:
    """Logged in at the beginning, and logged out at the end at the latest."""
    browser = Browser(person, accept=accept)
    try:
        browser.log_in()
        yield browser
    finally:
        browser.log_out()
