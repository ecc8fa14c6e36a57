from __future__ import annotations

import pytest

from instruments.rows import make_author, make_book, make_topic
from library.models import Book


@pytest.fixture
def shelf(transactional_db: None) -> list[Book]:
    """Twenty-five books: two pages of the default size."""
    austen, shelley = make_author("Austen"), make_author("Shelley")
    numbered = [
        make_book(title=f"Emma {number}", summary="boils", price=number, copies=30 - number, author=austen)
        for number in range(1, 23)
    ]
    return [
        *numbered,
        make_book(title="Café society", summary="a", price=40, copies=1, author=shelley),
        make_book(title="Oak & ash", price=15, copies=2, author=shelley, topics=[make_topic("trees")]),
        make_book(title="CafÃ© society", summary="b", price=41, copies=1, author=shelley),
    ]
