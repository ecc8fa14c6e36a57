"""The mutants that no test can notice, with the reason, in ``equivalent.toml`` beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.areas import ROOT
from tools.mutants.mutations import Mutant

LIST = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A mutant by the text of its line, which stays the same where lines are added above it."""

    file: str
    line: str
    before: str
    after: str


def load(path: Path = LIST) -> dict[Place, str]:
    """The reasons."""
    reasons: dict[Place, str] = {}
    for entry in tomllib.loads(path.read_text()).get("mutant", []):
        reason = entry.pop("reason")
        reasons[Place(**entry)] = reason
    return reasons


def place_of(mutant: Mutant, root: Path = ROOT) -> Place:
    line = (root / mutant.path).read_text().splitlines()[mutant.line - 1]
    return Place(
        file=mutant.path,
        line=line.strip(),
        before=_on_one_line(mutant.before),
        after=_on_one_line(mutant.after),
    )


def reason_for(mutant: Mutant, reasons: Mapping[Place, str]) -> str | None:
    return reasons.get(place_of(mutant))


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
