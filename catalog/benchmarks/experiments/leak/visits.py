"""Two accounts ask for the same pages, one after the other, in the process of the strategy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack

from catalog.benchmarks.experiments.leak.disclosures import Disclosure, disclosure_of
from catalog.benchmarks.sandbox.accounts import Account, Browser, browsing

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
    """What the pages disclose to the first account, and then to the second.

    With ``then=None``, the same browser asks again after the first account has logged out.
    """
    with ExitStack() as stack:
        browser = stack.enter_context(browsing(first, accept=accept))
        to_first = _ask_all(browser, urls, usernames)
        if then:
            browser = stack.enter_context(browsing(then, accept=accept))
        else:
            browser.log_out()
        return to_first, _ask_all(browser, urls, usernames)


def _ask_all(browser: Browser, urls: Sequence[str], usernames: Collection[str]) -> Disclosures:
    responses = {url: browser.client.get(url) for url in urls}
    return {
        url: disclosure_of(response, path=url, usernames=usernames)
        for url, response in responses.items()
        if response.status_code == 200
    }
