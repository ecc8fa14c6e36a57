"""The targets of writes, the pages that show them, and the part of a page that shows one target."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.test import Client

# Shows all books of a round.
LIST = "/books/?page_size=100"
STATISTICS = "/books/statistics/"

# The page that shows a fact, and the JSON that it shows.
Facts = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Target:
    """``slug`` is its author's, and ``book`` the primary key of its first book."""

    label: str
    slug: str
    book: int

    @property
    def book_url(self) -> str:
        return f"/books/{self.book}/"

    @property
    def author_url(self) -> str:
        return f"/authors/{self.slug}/"

    @property
    def urls(self) -> tuple[str, ...]:
        return LIST, STATISTICS, self.book_url, self.author_url


def urls_of(targets: Iterable[Target]) -> list[str]:
    return [LIST, STATISTICS, *(url for target in targets for url in (target.book_url, target.author_url))]


def shown(url: str, code: int, body: str, targets: Iterable[Target]) -> Iterator[tuple[Target, str]]:
    """The targets that a page shows, and what it shows of each: its rows, or the status code of an error."""
    page: Any = json.loads(body) if code == 200 else None
    for target in targets:
        if url in target.urls:
            part = _part(url, page, target) if page is not None else code
            yield target, json.dumps(part, sort_keys=True)


def _part(url: str, page: Any, target: Target) -> Any:
    if url == LIST:
        return [book for book in page["results"] if book["author"] == target.slug]
    if url == STATISTICS:
        return [author for author in page["authors"] if author["author__slug"] == target.slug]
    return page


def committed(client: Client, target: Target) -> Facts:
    """What the pages show of the target without a cache."""
    facts = {}
    for url in target.urls:
        response = client.get(f"/uncached{url}")
        [(_, fact)] = shown(url, response.status_code, response.content.decode(), [target])
        facts[url] = fact
    return facts
