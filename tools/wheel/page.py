"""The code that docs/your-project.md tells its readers to write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "your-project.md"


@dataclass(frozen=True, kw_only=True)
class Page:
    """``cache_default`` and ``settings`` end settings.py, in this order. ``view`` is the view of an app
    ``library`` as it was, ``cached_view`` as it becomes. ``test_settings`` and ``tests`` are for the
    project's own tests.
    """

    cache_default: str
    settings: str
    view: str
    cached_view: str
    test_settings: str
    tests: str

    @property
    def new_lines(self) -> list[str]:
        """Every line that a reader adds, without blank ones."""
        added = set(self.cached_view.splitlines()) - set(self.view.splitlines())
        return [line for line in [*self.settings.splitlines(), *sorted(added)] if line]


def read_page(path: Path = PAGE) -> Page:
    """Raises ``ValueError`` if the page has other blocks of code than these."""
    text = path.read_text()
    settings, _rotate, test_settings, tests = _blocks(text, "python")
    (change,) = _blocks(text, "diff")
    (cache_default,) = re.findall(r"`(CACHES = \{.*?\})`", text)
    return Page(
        cache_default=cache_default,
        settings=settings,
        view=_side(change, "-"),
        cached_view=_side(change, "+"),
        test_settings=test_settings,
        tests=tests,
    )


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _side(change: str, sign: str) -> str:
    """The lines of a diff that have the sign, and those that stay."""
    return "\n".join(line[1:] for line in change.splitlines() if line[:1] in ("", " ", sign)) + "\n"
