"""Two accounts that request the same pages, and the leaks that are found in planted visits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from catalog.benchmarks.experiments.leak import experiment
from catalog.benchmarks.experiments.leak.disclosures import FAULTS, Disclosure, ask_in_turn
from catalog.benchmarks.experiments.leak.experiment import Leak, Order, Visit, find_leaks, orders
from catalog.benchmarks.options import Options
from catalog.benchmarks.sandbox.accounts import VISITOR, Account
from catalog.benchmarks.strategies.registry import TEXTBOOK, UNCACHED
from catalog.factories import ProductFactory

LIST = "/uncached/products/"
USER = Account(role="user", user=User(username="ursula"))
ADMIN = Account(role="admin", user=User(username="wilhelmina", is_staff=True))
ACCOUNTS = (VISITOR, USER, ADMIN)


def saved(account: Account) -> Account:
    assert account.user
    user = User.objects.create(username=account.user.username, is_staff=account.user.is_staff)
    return Account(role=account.role, user=user)


def seen_by(
    first: Account, then: Account | None, urls: Sequence[str] = (LIST,)
) -> tuple[dict[str, Disclosure], dict[str, Disclosure]]:
    return ask_in_turn(
        first=first, then=then, accept="text/html", urls=urls, usernames=["ursula", "wilhelmina"]
    )


@pytest.mark.django_db
def test_each_account_is_logged_in_for_its_requests_and_logged_out_afterwards() -> None:
    ProductFactory.create()
    user, admin = saved(USER), saved(ADMIN)

    first, then = seen_by(user, admin)

    assert [each[LIST].usernames for each in (first, then)] == [{"ursula"}, {"wilhelmina"}]
    assert [each[LIST].forms for each in (first, then)] == [frozenset(), {"POST"}]
    # Each account has a browser without the cookies of the other.
    assert first[LIST].sent_cookies.isdisjoint(then[LIST].sent_cookies)
    assert not Session.objects.exists()


@pytest.mark.django_db
def test_an_account_that_logs_out_asks_again_anonymously_in_the_same_browser() -> None:
    ProductFactory.create()

    first, then = seen_by(saved(ADMIN), None)

    assert first[LIST].usernames == {"wilhelmina"}
    assert (then[LIST].usernames, then[LIST].forms) == (frozenset(), frozenset())
    names = [{name for name, _ in answers[LIST].sent_cookies} for answers in (first, then)]
    assert names == [{"sessionid"}, {"csrftoken"}]


@pytest.mark.django_db
def test_a_visitor_is_not_logged_in() -> None:
    ProductFactory.create()

    first, then = seen_by(VISITOR, saved(USER))

    assert [each[LIST].usernames for each in (first, then)] == [frozenset(), {"ursula"}]


@pytest.mark.django_db
def test_a_status_other_than_200_has_no_answer() -> None:
    assert [set(answers) for answers in seen_by(VISITOR, VISITOR, ["/uncached/products/7/", LIST])] == [
        {LIST}
    ] * 2


def test_there_are_eight_orders_for_each_of_two_renderers() -> None:
    cases = [order.case for order in orders(ACCOUNTS)]

    assert cases[:8] == [
        "visitor_user_html",
        "visitor_admin_html",
        "user_visitor_html",
        "user_admin_html",
        "user_logout_html",
        "admin_visitor_html",
        "admin_user_html",
        "admin_logout_html",
    ]
    assert cases[8:] == [case.replace("html", "json") for case in cases[:8]]
    assert len(cases) == experiment.ORDERS * len(experiment.ACCEPT)


# Planted visits. Each page of the second account has one fault or none.

PAGE = ("mine", "/products/")
NAMED = {account.role: frozenset({account.username}) for account in (USER, ADMIN) if account.username}


def visit(first: Account, then: Account | None, answer: Disclosure | None = None, **before: Any) -> Visit:
    order = Order(first=first, then=then, renderer="html")
    forms = frozenset({"POST"}) if first.is_admin else frozenset()
    firsts = {PAGE: Disclosure(usernames=NAMED.get(first.role, frozenset()), forms=forms, **before)}
    seconds = {} if answer is None else {PAGE: answer}
    return Visit(order=order, first=firsts, then=seconds)


OWN_PAGES = (visit(VISITOR, None), visit(USER, None), visit(ADMIN, None))


def leaks(*visits: Visit) -> list[Leak]:
    return list(find_leaks([*OWN_PAGES, *visits]))


def leak(case: str, *kinds: str) -> Leak:
    return Leak(strategy="mine", case=case, kinds=frozenset(kinds))


def test_an_accounts_own_page_is_not_a_leak() -> None:
    assert leaks(visit(USER, ADMIN, Disclosure(usernames=NAMED["admin"], forms=frozenset({"POST"})))) == []


def test_each_leaking_page_counts_once_for_each_kind_and_for_its_case() -> None:
    found = leaks(
        visit(USER, ADMIN, Disclosure(usernames=NAMED["user"] | NAMED["admin"], forms=frozenset({"POST"}))),
        visit(USER, VISITOR, Disclosure(csrf_tokens=frozenset("t")), csrf_tokens=frozenset("t")),
        visit(USER, VISITOR, Disclosure(cookies=frozenset({("a", "b")})), cookies=frozenset({("a", "b")})),
        visit(VISITOR, USER, Disclosure(usernames=NAMED["user"], forms=frozenset({"POST"}))),
        visit(VISITOR, ADMIN, Disclosure(forms=frozenset({"POST"}))),
        visit(VISITOR, ADMIN, Disclosure(usernames=NAMED["admin"])),
        # After the logout, the account is a visitor.
        visit(ADMIN, None, Disclosure(usernames=NAMED["admin"], forms=frozenset({"POST"}))),
    )

    assert found == [
        leak("user_admin_html", "names"),
        leak("user_visitor_html", "csrf_tokens"),
        leak("user_visitor_html", "cookies"),
        leak("visitor_user_html", "forms"),
        leak("visitor_admin_html", "lacking"),
        leak("visitor_admin_html", "lacking"),
        leak("admin_logout_html", "names", "forms"),
    ]


def test_answers_of_different_strategies_are_not_compared() -> None:
    tokens = frozenset("t")
    first = {("other", "/products/"): Disclosure(csrf_tokens=tokens)}
    order = Order(first=USER, then=VISITOR, renderer="html")
    planted = Visit(order=order, first=first, then={PAGE: Disclosure(csrf_tokens=tokens)})

    assert leaks(planted) == []


def test_json_is_not_compared_with_html() -> None:
    order = Order(first=VISITOR, then=ADMIN, renderer="json")

    assert leaks(Visit(order=order, first={}, then={PAGE: Disclosure()})) == []


def test_the_figures_count_the_planted_leaks() -> None:
    shareable = Disclosure(usernames=NAMED["admin"], may_be_shared=True)
    visits = [
        visit(ADMIN, VISITOR, shareable, may_be_shared=True),
        visit(USER, VISITOR, Disclosure(forms=frozenset({"POST"}), usernames=NAMED["user"])),
        Visit(
            order=Order(first=USER, then=ADMIN, renderer="html"),
            first={("other", "/"): shareable},
            then={("other", "/"): shareable},
        ),
    ]
    found = [
        leak("admin_visitor_html", "names"),
        leak("user_visitor_html", "names", "forms"),
        Leak(strategy="other", case="user_admin_html", kinds=frozenset({"names"})),
    ]

    values = {figure.path: figure.value for figure in experiment._figures("mine", visits, found)}

    assert values == {
        "mine.leak.answers": 2,
        "mine.leak.found": 2,
        **{f"mine.leak.{kind}": 0 for kind in FAULTS},
        "mine.leak.names": 2,
        "mine.leak.forms": 1,
        # The admin's own page, and the copy that the visitor got.
        "mine.leak.shareable": 2,
        "mine.admin_visitor_html.leaks": 1,
        "mine.user_visitor_html.leaks": 1,
        "mine.user_admin_html.leaks": 0,
    }


def test_a_warning_counts_the_pages_without_an_answer() -> None:
    options = Options(strategies=(UNCACHED, TEXTBOOK))
    answered = {("uncached", path): Disclosure() for path in ("/a/", "/b/", "/c/")}
    order = Order(first=USER, then=ADMIN, renderer="html")
    textbook = {("textbook", "/a/"): Disclosure()}
    visits = [Visit(order=order, first={**answered, **textbook}, then=answered)]

    assert list(experiment._warnings(options, visits, paths=3)) == [
        (
            "textbook: 5 of 6 answers had another status than 200 and were not examined. "
            "Look at /textbook/products/ in a browser."
        )
    ]
