from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.benchmarks.sandbox.accounts import VISITOR, browsing, log_out, scratch_accounts

pytestmark = pytest.mark.django_db


def test_scratch_accounts_are_a_visitor_a_user_and_an_admin_and_are_removed() -> None:
    with scratch_accounts() as accounts:
        assert [(each.role, each.is_admin, bool(each.username)) for each in accounts] == [
            ("visitor", False, False),
            ("user", False, True),
            ("admin", True, True),
        ]
        assert {user.username for user in User.objects.all()} == {each.username for each in accounts[1:]}
        assert not any(user.has_usable_password() for user in User.objects.all())

    assert not User.objects.exists()


def test_a_browser_that_logs_out_loses_its_session_and_keeps_its_csrf_cookie() -> None:
    with scratch_accounts() as (_, user, _), browsing(user, accept="text/html") as browser:
        browser.get("/uncached/products/")
        assert Session.objects.count() == 1
        cookies = {name: morsel.value for name, morsel in browser.cookies.items()}

        log_out(browser)

        assert not Session.objects.exists()
        left = {name: morsel.value for name, morsel in browser.cookies.items()}
        assert left == {"csrftoken": cookies["csrftoken"]}


def test_sessions_of_scratch_accounts_are_removed_and_other_sessions_stay() -> None:
    other = Client()
    other.force_login(User.objects.create(username="bench-cache-of-somebody-else"))
    with scratch_accounts() as (_, user, _):
        # An interrupted child process leaves such a session.
        assert user.user
        Client().force_login(user.user)
        assert Session.objects.count() == 2

    assert [session.pk for session in Session.objects.all()] == [other.session.session_key]


def test_a_visitor_needs_no_session() -> None:
    with CaptureQueriesContext(connection) as queries, browsing(VISITOR, accept="text/html"):
        pass

    assert len(queries) == 0


def test_an_admin_is_removed_with_all_traces_after_an_error() -> None:
    def visit_and_fail() -> None:
        with scratch_accounts() as (*_, admin), browsing(admin, accept="text/html") as browser:
            assert admin.user
            LogEntry.objects.create(user=admin.user, action_flag=1)
            assert browser.get("/admin/").status_code == 200
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        visit_and_fail()

    assert not any(model._default_manager.exists() for model in (User, Session, LogEntry))
