"""Two accounts request the same pages, and what their responses disclose.

The requests are sent in the process of the strategy.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.test import Client

from catalog.benchmarks.sandbox.accounts import Account, browsing, log_out

FAULTS = {
    "names": "another's name",
    "csrf_tokens": "another's token",
    "cookies": "another's cookie",
    "forms": "form not allowed",
    "lacking": "own part missing",
}
WRITING_METHODS = {"POST", "PUT", "PATCH", "DELETE"}
# Django's token with its masked secret, in a form or a script.
_CSRF_TOKEN = re.compile(r"""csrf[^<>]{0,60}?["'=:\s]([A-Za-z0-9]{64})\b""", re.IGNORECASE)
_FORM = re.compile(r"<form\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*["']([^"']*)["']""")


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """The parts of one response that belong to an account.

    ``usernames`` are the accounts of the experiment that it names. ``forms`` are the methods of its forms
    that write to the page itself, without the forms for logging out and for filtering. ``cookies`` are
    the names and values that it sets, and ``sent_cookies`` the ones that the browser had sent.
    ``may_be_shared`` depends on the response's headers alone.
    """

    usernames: frozenset[str] = frozenset()
    csrf_tokens: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    cookies: frozenset[tuple[str, str]] = frozenset()
    sent_cookies: frozenset[tuple[str, str]] = frozenset()
    may_be_shared: bool = False

    @property
    def is_shareable(self) -> bool:
        return bool(self.usernames) and self.may_be_shared


# By URL, without pages whose status was not 200.
Disclosures = dict[str, Disclosure]


def ask_in_turn(
    *,
    first: Account,
    then: Account | None,
    accept: str,
    urls: Sequence[str],
    usernames: Collection[str],
) -> tuple[Disclosures, Disclosures]:
    """The disclosures of the pages to the first account, and then to the second.

    With ``then=None``, the same browser asks again after the first account has logged out.
    """
    with ExitStack() as stack:
        browser = stack.enter_context(browsing(first, accept=accept))
        to_first = _ask_all(browser, urls, usernames)
        if then:
            browser = stack.enter_context(browsing(then, accept=accept))
        else:
            log_out(browser)
        return to_first, _ask_all(browser, urls, usernames)


def _ask_all(browser: Client, urls: Sequence[str], usernames: Collection[str]) -> Disclosures:
    responses = {url: browser.get(url) for url in urls}
    return {
        url: disclosure_of(response, path=url, usernames=usernames)
        for url, response in responses.items()
        if response.status_code == 200
    }


def disclosure_of(response: Any, *, path: str, usernames: Collection[str]) -> Disclosure:
    """``response`` is one of the test client, and ``path`` has no query."""
    text = response.content.decode(errors="replace")
    return Disclosure(
        usernames=frozenset(username for username in usernames if username in text),
        csrf_tokens=frozenset(_CSRF_TOKEN.findall(text)),
        forms=frozenset(_writing_forms(text, path)),
        cookies=frozenset((name, morsel.value) for name, morsel in response.cookies.items() if morsel.value),
        sent_cookies=frozenset(response.wsgi_request.COOKIES.items()),
        may_be_shared=may_be_shared(response.headers),
    )


def faults_of(account: Account, seen: Disclosure, *, before: Disclosure, own: Disclosure) -> frozenset[str]:
    """The keys of ``FAULTS`` that apply to the page that the account has ``seen``.

    ``before`` is the disclosure of the page to the earlier account, and ``own`` its disclosure to this
    account when nothing is cached.
    """
    my_name = {account.username} - {None}
    found = {
        "names": seen.usernames - my_name,
        "csrf_tokens": seen.csrf_tokens & before.csrf_tokens,
        # Django renews the cookie of a browser that has it already.
        "cookies": (seen.cookies & before.cookies) - seen.sent_cookies,
        "forms": frozenset() if account.is_admin else seen.forms,
        "lacking": ((own.usernames & my_name) - seen.usernames) | (own.forms - seen.forms),
    }
    return frozenset(kind for kind, evidence in found.items() if evidence)


def may_be_shared(headers: Any) -> bool:
    """Whether a shared cache may store the response to a GET and reuse it without validation.

    The rules are those of RFC 9111, section 3, for responses with an explicit lifetime. Heuristic
    freshness (section 4.2.2) is left out, and so is ``Vary``: it restricts to whom a stored response may
    be given, not whether it is stored.
    """
    directives = {}
    for directive in headers.get("Cache-Control", "").lower().split(","):
        name, _, value = directive.partition("=")
        directives[name.strip()] = value.strip().strip('"')
    if directives.keys() & {"private", "no-store", "no-cache"}:
        return False
    lifetime = directives.get("s-maxage", directives.get("max-age"))
    if lifetime is not None:
        return lifetime.isdigit() and int(lifetime) > 0
    return "public" in directives or "Expires" in headers


def _writing_forms(html: str, path: str) -> list[str]:
    found = []
    for form in _FORM.findall(html):
        attributes = {name.lower(): value for name, value in _ATTRIBUTE.findall(form)}
        # A script of Django REST framework sends the form with this method, which HTML does not know.
        method = attributes.get("data-method", attributes.get("method", "get")).upper()
        if method in WRITING_METHODS and urlsplit(attributes.get("action", "")).path in ("", path):
            found.append(method)
    return found
