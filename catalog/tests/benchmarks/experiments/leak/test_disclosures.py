"""What is personal in real pages, and when an answer to one person has what is another's."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory

from catalog.benchmarks.experiments.leak.disclosures import (
    FAULTS,
    Personal,
    faults_of,
    may_be_shared,
    personal_in,
)
from catalog.benchmarks.sandbox.accounts import VISITOR, Person
from catalog.factories import ProductFactory

USER = Person(role="user", user=User(username="ursula"))
ADMIN = Person(role="admin", user=User(username="wilhelmina", is_staff=True))


def page(client: Client, path: str) -> Personal:
    response = client.get(path, headers={"accept": "text/html"})
    assert response.status_code == 200
    return personal_in(response, path=path, usernames=["ursula", "wilhelmina"])


def logged_in(username: str, *, is_staff: bool) -> Client:
    client = Client()
    client.force_login(User.objects.create(username=username, is_staff=is_staff))
    return client


@pytest.mark.django_db
def test_a_page_names_its_reader_and_has_the_forms_that_he_may_send() -> None:
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
def test_the_token_and_the_cookie_against_csrf_are_found() -> None:
    client = logged_in("ursula", is_staff=False)
    first, again = page(client, "/uncached/products/"), page(client, "/uncached/products/")
    token, cookie = client.cookies["csrftoken"].value, ("csrftoken", client.cookies["csrftoken"].value)

    assert len(first.csrf_tokens) == len(again.csrf_tokens) == 1
    # It is masked anew for each page.
    assert first.csrf_tokens.isdisjoint({token} | again.csrf_tokens)
    assert cookie in first.cookies & again.sent_cookies
    assert cookie not in first.sent_cookies


def test_a_token_in_an_old_fashioned_form_or_script_is_found() -> None:
    tokens = [letter * 64 for letter in "abc"]
    html = f"""
        <input type="hidden" name="csrfmiddlewaretoken" value="{tokens[0]}">
        <script>csrfToken: "{tokens[1]}"</script> <meta name='csrf-token' content='{tokens[2]}'>
        <img integrity="{"d" * 64}">
    """
    response = HttpResponse(html)
    response.wsgi_request = RequestFactory().get("/")  # type: ignore[attr-defined]

    assert personal_in(response, path="/", usernames=[]).csrf_tokens == set(tokens)


PAGE = Personal(
    usernames=frozenset({"wilhelmina"}),
    csrf_tokens=frozenset({"a"}),
    forms=frozenset({"POST"}),
    cookies=frozenset({("csrftoken", "b")}),
)


def test_a_page_of_another_has_every_fault() -> None:
    assert faults_of(USER, PAGE, before=PAGE, own=Personal(usernames=frozenset({"ursula"}))) == set(FAULTS)


def test_a_page_of_ones_own_has_none() -> None:
    assert faults_of(ADMIN, PAGE, before=Personal(csrf_tokens=frozenset({"c"})), own=PAGE) == set()


@pytest.mark.parametrize(
    ("person", "answer", "before", "own", "fault"),
    [
        (VISITOR, Personal(usernames=frozenset({"ursula"})), Personal(), Personal(), "names"),
        (VISITOR, Personal(csrf_tokens=PAGE.csrf_tokens), PAGE, Personal(), "csrf_tokens"),
        (VISITOR, Personal(cookies=PAGE.cookies), PAGE, Personal(), "cookies"),
        (USER, Personal(forms=frozenset({"DELETE"})), Personal(), Personal(), "forms"),
        (ADMIN, Personal(usernames=PAGE.usernames), Personal(), PAGE, "lacking"),
        (ADMIN, Personal(forms=PAGE.forms), Personal(), PAGE, "lacking"),
    ],
)
def test_each_fault_is_told_from_the_others(
    person: Person, answer: Personal, before: Personal, own: Personal, fault: str
) -> None:
    assert faults_of(person, answer, before=before, own=own) == {fault}


@pytest.mark.parametrize(
    ("answer", "before"),
    [
        (Personal(usernames=frozenset({"ursula"})), PAGE),
        (Personal(csrf_tokens=frozenset({"z"})), PAGE),
        (Personal(cookies=frozenset({("csrftoken", "z")})), PAGE),
        (Personal(cookies=frozenset({("sessionid", "b")})), PAGE),
        # What the answer before had is no fault where this answer does not have it.
        (Personal(), PAGE),
    ],
)
def test_what_is_a_users_own_is_no_fault(answer: Personal, before: Personal) -> None:
    assert faults_of(USER, answer, before=before, own=Personal()) == set()


def test_a_name_or_a_form_that_the_user_has_on_no_page_is_not_lacking() -> None:
    own = Personal(usernames=frozenset({"wilhelmina"}))

    assert faults_of(USER, Personal(), before=Personal(), own=own) == set()
    assert faults_of(ADMIN, Personal(forms=frozenset({"POST"})), before=PAGE, own=Personal()) == set()


@pytest.mark.parametrize(
    "found",
    [
        Personal(),
        PAGE,
        Personal(
            usernames=frozenset({"a", "b"}),
            cookies=frozenset({("x", "1"), ("y", "2")}),
            sent_cookies=frozenset({("z", "3")}),
            may_be_shared=True,
        ),
    ],
)
def test_what_was_found_is_the_same_after_a_journey_as_json(found: Personal) -> None:
    assert Personal.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_cookie_that_is_deleted_is_none() -> None:
    response = HttpResponse()
    response.set_cookie("basket", "full")
    response.delete_cookie("sessionid")
    response.wsgi_request = RequestFactory().get("/")  # type: ignore[attr-defined]

    assert personal_in(response, path="/", usernames=[]).cookies == {("basket", "full")}


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

    assert personal_in(response, path="/here/", usernames=[]).forms == methods


def test_a_cookie_that_the_browser_had_is_its_own() -> None:
    renewed = Personal(cookies=PAGE.cookies, sent_cookies=PAGE.cookies)

    assert faults_of(VISITOR, renewed, before=PAGE, own=Personal()) == set()


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
def test_a_shared_cache_keeps_what_says_for_how_long_and_is_not_private(
    headers: dict[str, str], *, shared: bool
) -> None:
    assert may_be_shared(HttpResponse(headers=headers).headers) is shared


def test_only_an_answer_that_names_somebody_is_shareable() -> None:
    named = frozenset({"ursula"})

    assert Personal(usernames=named, may_be_shared=True).is_shareable
    assert not Personal(usernames=named).is_shareable
    assert not Personal(may_be_shared=True).is_shareable
