"""The disclosures in real pages, and the rules that tell when a response leaks another account."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory

from catalog.benchmarks.experiments.leak.disclosures import (
    FAULTS,
    Disclosure,
    disclosure_of,
    faults_of,
    may_be_shared,
)
from catalog.benchmarks.sandbox.accounts import VISITOR, Account
from catalog.factories import ProductFactory

USER = Account(role="user", user=User(username="ursula"))
ADMIN = Account(role="admin", user=User(username="wilhelmina", is_staff=True))


def page(client: Client, path: str) -> Disclosure:
    response = client.get(path, headers={"accept": "text/html"})
    assert response.status_code == 200
    return disclosure_of(response, path=path, usernames=["ursula", "wilhelmina"])


def logged_in(username: str, *, is_staff: bool) -> Client:
    client = Client()
    client.force_login(User.objects.create(username=username, is_staff=is_staff))
    return client


@pytest.mark.django_db
def test_a_page_names_its_reader_and_has_the_forms_that_the_reader_may_send() -> None:
    product = ProductFactory.create()
    visitor = Client()
    user = logged_in("ursula", is_staff=False)
    admin = logged_in("wilhelmina", is_staff=True)

    expected = {
        "/uncached/products/": {"POST"},
        f"/uncached/products/{product.pk}/": {"PUT", "DELETE"},
        "/uncached/products/stats/": set(),
    }
    for path, forms in expected.items():
        seen = [page(client, path) for client in (visitor, user, admin)]
        assert [set(each.usernames) for each in seen] == [set(), {"ursula"}, {"wilhelmina"}]
        assert [set(each.forms) for each in seen] == [set(), set(), forms]


@pytest.mark.django_db
def test_the_csrf_token_and_the_csrf_cookie_are_found() -> None:
    client = logged_in("ursula", is_staff=False)
    first, again = page(client, "/uncached/products/"), page(client, "/uncached/products/")
    token, cookie = client.cookies["csrftoken"].value, ("csrftoken", client.cookies["csrftoken"].value)

    assert len(first.csrf_tokens) == len(again.csrf_tokens) == 1
    # Each page shows the token with a different mask.
    assert first.csrf_tokens.isdisjoint({token} | again.csrf_tokens)
    assert cookie in first.cookies & again.sent_cookies
    assert cookie not in first.sent_cookies


def test_a_token_in_a_form_or_a_script_is_found() -> None:
    tokens = [letter * 64 for letter in "abc"]
    html = f"""
        <input type="hidden" name="csrfmiddlewaretoken" value="{tokens[0]}">
        <script>csrfToken: "{tokens[1]}"</script> <meta name='csrf-token' content='{tokens[2]}'>
        <img integrity="{"d" * 64}">
    """
    response = HttpResponse(html)
    response.wsgi_request = RequestFactory().get("/")  # type: ignore[attr-defined]

    assert disclosure_of(response, path="/", usernames=[]).csrf_tokens == set(tokens)


PAGE = Disclosure(
    usernames=frozenset({"wilhelmina"}),
    csrf_tokens=frozenset({"a"}),
    forms=frozenset({"POST"}),
    cookies=frozenset({("csrftoken", "b")}),
)


def test_a_page_made_for_another_account_has_every_fault() -> None:
    assert faults_of(USER, PAGE, before=PAGE, own=Disclosure(usernames=frozenset({"ursula"}))) == set(FAULTS)


def test_a_page_made_for_the_account_itself_has_no_fault() -> None:
    assert faults_of(ADMIN, PAGE, before=Disclosure(csrf_tokens=frozenset({"c"})), own=PAGE) == set()


@pytest.mark.parametrize(
    ("account", "seen", "before", "own", "fault"),
    [
        (VISITOR, Disclosure(usernames=frozenset({"ursula"})), Disclosure(), Disclosure(), "names"),
        (VISITOR, Disclosure(csrf_tokens=PAGE.csrf_tokens), PAGE, Disclosure(), "csrf_tokens"),
        (VISITOR, Disclosure(cookies=PAGE.cookies), PAGE, Disclosure(), "cookies"),
        (USER, Disclosure(forms=frozenset({"DELETE"})), Disclosure(), Disclosure(), "forms"),
        (ADMIN, Disclosure(usernames=PAGE.usernames), Disclosure(), PAGE, "lacking"),
        (ADMIN, Disclosure(forms=PAGE.forms), Disclosure(), PAGE, "lacking"),
    ],
)
def test_each_fault_is_distinguished_from_the_others(
    account: Account, seen: Disclosure, before: Disclosure, own: Disclosure, fault: str
) -> None:
    assert faults_of(account, seen, before=before, own=own) == {fault}


@pytest.mark.parametrize(
    ("answer", "before"),
    [
        (Disclosure(usernames=frozenset({"ursula"})), PAGE),
        (Disclosure(csrf_tokens=frozenset({"z"})), PAGE),
        (Disclosure(cookies=frozenset({("csrftoken", "z")})), PAGE),
        (Disclosure(cookies=frozenset({("sessionid", "b")})), PAGE),
        # An answer without the disclosures of the earlier answer has no fault.
        (Disclosure(), PAGE),
    ],
)
def test_an_accounts_own_data_on_its_page_is_not_a_fault(answer: Disclosure, before: Disclosure) -> None:
    assert faults_of(USER, answer, before=before, own=Disclosure()) == set()


def test_a_name_or_form_that_the_account_never_sees_is_not_missing() -> None:
    own = Disclosure(usernames=frozenset({"wilhelmina"}))

    assert faults_of(USER, Disclosure(), before=Disclosure(), own=own) == set()
    assert faults_of(ADMIN, Disclosure(forms=frozenset({"POST"})), before=PAGE, own=Disclosure()) == set()


def test_a_deleted_cookie_is_ignored() -> None:
    response = HttpResponse()
    response.set_cookie("basket", "full")
    response.delete_cookie("sessionid")
    response.wsgi_request = RequestFactory().get("/")  # type: ignore[attr-defined]

    assert disclosure_of(response, path="/", usernames=[]).cookies == {("basket", "full")}


@pytest.mark.parametrize(
    ("html", "methods"),
    [
        ('<form method="post">', {"POST"}),
        ('<form action="" method="POST">', {"POST"}),
        ('<form action="/here/" method="POST">', {"POST"}),
        ('<form action="/here/?page=2" method="POST">', {"POST"}),
        ('<FORM METHOD="POST" DATA-METHOD="DELETE">', {"DELETE"}),
        ("<form method='patch'>", {"PATCH"}),
        ('<form method="POST"> <form data-method="PUT">', {"POST", "PUT"}),
        ('<form action="/logout/" method="POST">', set()),
        ('<form method="get">', set()),
        ("<form>", set()),
        ('<formula method="POST">', set()),
    ],
)
def test_the_forms_that_write_to_the_page_itself_are_found(html: str, methods: set[str]) -> None:
    response = HttpResponse(html)
    response.wsgi_request = RequestFactory().get("/")  # type: ignore[attr-defined]

    assert disclosure_of(response, path="/here/", usernames=[]).forms == methods


def test_a_cookie_that_the_browser_has_sent_is_not_a_fault() -> None:
    renewed = Disclosure(cookies=PAGE.cookies, sent_cookies=PAGE.cookies)

    assert faults_of(VISITOR, renewed, before=PAGE, own=Disclosure()) == set()


@pytest.mark.parametrize(
    ("headers", "shared"),
    [
        ({"Cache-Control": "max-age=900"}, True),
        ({"Cache-Control": 'Public, MAX-AGE="60"'}, True),
        ({"Cache-Control": "max-age=0, s-maxage=60"}, True),
        ({"Cache-Control": "max-age=1"}, True),
        ({"Cache-Control": "public"}, True),
        ({"Expires": "Thu, 01 Jan 2099 00:00:00 GMT"}, True),
        ({"Cache-Control": "max-age=900", "Vary": "Cookie"}, True),
        ({"Cache-Control": "private, max-age=900"}, False),
        ({"Cache-Control": "max-age=900, no-store"}, False),
        ({"Cache-Control": "no-cache, max-age=900"}, False),
        ({"Cache-Control": "max-age=0"}, False),
        ({"Cache-Control": "max-age=soon"}, False),
        ({"Cache-Control": "must-revalidate"}, False),
        ({"Cache-Control": "max-age=900, s-maxage=0"}, False),
        ({}, False),
    ],
)
def test_a_shared_cache_keeps_a_response_with_a_lifetime_that_is_not_private(
    headers: dict[str, str], *, shared: bool
) -> None:
    assert may_be_shared(HttpResponse(headers=headers).headers) is shared


def test_only_a_response_that_names_an_account_is_shareable() -> None:
    named = frozenset({"ursula"})

    assert Disclosure(usernames=named, may_be_shared=True).is_shareable
    assert not Disclosure(usernames=named).is_shareable
    assert not Disclosure(may_be_shared=True).is_shareable
