"""docs/your-project.md is read as its readers read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.wheel.page import PAGE, read_page


def test_the_page_adds_nine_lines() -> None:
    lines = read_page().new_lines

    assert len(lines) == 9
    assert lines[0] == 'INSTALLED_APPS += ["readcache"]'
    assert "from readcache import CachedReadMixin, ReadCache" in lines


def test_the_view_before_the_change_knows_nothing_of_the_cache() -> None:
    page = read_page()

    assert page.view.lstrip().startswith("class BookList(generics.ListCreateAPIView):\n")
    assert "read_cache" not in page.view
    assert "class BookList(CachedReadMixin, generics.ListCreateAPIView):\n    read_cache" in page.cached_view


def test_a_page_with_another_block_of_code_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "page.md"
    changed.write_text(PAGE.read_text() + "\n```python\nINSTALLED_APPS += ['another']\n```\n")

    with pytest.raises(ValueError, match="too many values"):
        read_page(changed)
