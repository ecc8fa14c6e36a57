"""What of an answer belongs to one person, whom it reached, and whether a cache on the way may keep it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from catalog.benchmarks.sandbox.accounts import Person

FAULTS = {
    "names": "another's name",
    "csrf_tokens": "another's token",
    "cookies": "another's cookie",
    "forms": "form not allowed",
    "lacking": "own is missing",
}
WRITING_METHODS = {"POST", "PUT", "PATCH", "DELETE"}
# The token that Django hides a secret in, wherever a form or a script carries it.
_CSRF_TOKEN = re.compile(r"""csrf[^<>]{0,60}?["'=:\s]([A-Za-z0-9]{64})\b""", re.IGNORECASE)
_FORM = re.compile(r"<form\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*["']([^"']*)["']""")


@dataclass(frozen=True, kw_only=True)
class Personal:
    """What one answer has of persons.

    ``usernames`` are those of the people in question that it names. ``forms`` are the methods of
    its forms that write to the page itself (not those that log out, or filter). ``cookies`` are
    names and values that it sets, ``sent_cookies`` those that the browser had. ``may_be_shared`` is
    of its headers alone.
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

    def to_json(self) -> dict[str, Any]:
        return {
            name: sorted(value) if isinstance(value, frozenset) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Personal:
        return cls(**{name: _unlisted(value) for name, value in fields.items()})


def _unlisted(value: Any) -> Any:
    """A set was a list in JSON, and a pair in it one, too."""
    if not isinstance(value, list):
        return value
    return frozenset(tuple(each) if isinstance(each, list) else each for each in value)


def personal_in(response: Any, *, path: str, usernames: Collection[str]) -> Personal:
    """Of a response of the test client's; ``path`` is the page's, without a query."""
    text = response.content.decode(errors="replace")
    return Personal(
        usernames=frozenset(username for username in usernames if username in text),
        csrf_tokens=frozenset(_CSRF_TOKEN.findall(text)),
        forms=frozenset(_writing_forms(text, path)),
        cookies=frozenset((name, morsel.value) for name, morsel in response.cookies.items() if morsel.value),
        sent_cookies=frozenset(response.wsgi_request.COOKIES.items()),
        may_be_shared=may_be_shared(response.headers),
    )


def faults_of(person: Person, answer: Personal, *, before: Personal, own: Personal) -> frozenset[str]:
    """The keys of ``FAULTS`` that are in what this person was answered.

    ``before`` is what the page answered somebody else before, ``own`` what it answers this person
    when nothing is cached.
    """
    myself = {person.username} - {None}
    found = {
        "names": answer.usernames - myself,
        "csrf_tokens": answer.csrf_tokens & before.csrf_tokens,
        # Django renews the cookie of a browser that has it already.
        "cookies": (answer.cookies & before.cookies) - answer.sent_cookies,
        "forms": frozenset() if person.is_admin else answer.forms,
        "lacking": ((own.usernames & myself) - answer.usernames) | (own.forms - answer.forms),
    }
    return frozenset(kind for kind, evidence in found.items() if evidence)


def may_be_shared(headers: Any) -> bool:
    """Whether a shared cache may keep the answer to a GET and give it away unasked: RFC 9111, section 3.

    Only where the answer itself says for how long. What a cache may guess (section 4.2.2) is left
    out, and so is ``Vary``: it says to whom a kept answer may be given, not whether it is kept.
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
        # Django REST framework's script sends the form by the method that HTML does not know.
        method = attributes.get("data-method", attributes.get("method", "get")).upper()
        if method in WRITING_METHODS and urlsplit(attributes.get("action", "")).path in ("", path):
            found.append(method)
    return found
