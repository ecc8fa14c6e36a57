"""Two persons ask for the same pages, one after the other, in the process where a strategy is measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import Any

from django.contrib.auth.models import User

from catalog.benchmarks.experiments.leak.disclosures import Personal, personal_in
from catalog.benchmarks.sandbox.accounts import VISITOR, Browser, Person, browsing

# By URL; a page that was no 200 is not there.
Answers = dict[str, Personal]


def describe(person: Person) -> dict[str, Any]:
    """As JSON can say it."""
    return {"role": person.role, "key": person.user.pk if person.user else None}


def meet(
    *,
    first: dict[str, Any],
    then: dict[str, Any] | None,
    accept: str,
    urls: Sequence[str],
    usernames: Collection[str],
) -> list[dict[str, Any]]:
    """What the first and then the second are answered, for ``read_answers``.

    Persons are as ``describe`` has them. ``then`` is ``None`` where the first has logged out meanwhile.
    """
    with ExitStack() as stack:
        browser = stack.enter_context(browsing(_find(first), accept=accept))
        answers = [_ask_all(browser, urls, usernames)]
        if then:
            browser = stack.enter_context(browsing(_find(then), accept=accept))
        else:
            browser.log_out()
        answers.append(_ask_all(browser, urls, usernames))
    return [{url: personal.to_json() for url, personal in each.items()} for each in answers]


def read_answers(found: Sequence[dict[str, Any]]) -> list[Answers]:
    return [{url: Personal.from_json(fields) for url, fields in each.items()} for each in found]


def _find(described: dict[str, Any]) -> Person:
    if described["key"] is None:
        return VISITOR
    return Person(role=described["role"], user=User.objects.get(pk=described["key"]))


def _ask_all(browser: Browser, urls: Sequence[str], usernames: Collection[str]) -> Answers:
    responses = {url: browser.client.get(url) for url in urls}
    return {
        url: personal_in(response, path=url, usernames=usernames)
        for url, response in responses.items()
        if response.status_code == 200
    }
