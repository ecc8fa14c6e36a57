"""Sentences about several strategies, and the description of a module in its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence

ACRONYMS = ("api", "cte", "sql")
# Not the digits within a name, such as p99.
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


def words_of(name: str) -> str:
    """``raw SQL`` for ``raw_sql``."""
    return " ".join(word.upper() if word in ACRONYMS else word for word in name.split("_"))


def method_of(module: object) -> tuple[str, ...]:
    """The paragraphs of a module's docstring after its first line."""
    _, *paragraphs = (inspect.getdoc(module) or "").split("\n\n")
    return tuple(" ".join(paragraph.split()) for paragraph in paragraphs)


def group_warnings(warnings: Sequence[str], strategies: Sequence[str]) -> tuple[str, ...]:
    """Warnings that differ only in strategy and numbers become one, with the range of the numbers."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for warning in warnings:
        strategy, colon, rest = warning.partition(": ")
        subject, text = (strategy, rest) if colon and strategy in strategies else ("", warning)
        groups.setdefault(f"{bool(subject)}{NUMBER.sub('#', text)}", []).append((subject, text))
    return tuple(_grouped(members) for members in groups.values())


def _grouped(members: Sequence[tuple[str, str]]) -> str:
    subjects = ", ".join(dict.fromkeys(subject for subject, _ in members if subject))
    columns = iter(zip(*(NUMBER.findall(text) for _, text in members), strict=True))
    text = NUMBER.sub(lambda _: _range(next(columns)), members[0][1])
    return f"{subjects}: {text}" if subjects else text


def _range(numbers: Sequence[str]) -> str:
    ordered = sorted(set(numbers), key=lambda number: float(number.replace(",", "")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
