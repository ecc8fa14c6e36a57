"""Conditions on figures, for continuous integration: ``readcache.hit.p50 < 1.3 * floor-get``.

docs/laboratory.md has the grammar. A strategy alone stands for its figure with the case and name of the
figure on the other side. ``floor`` and ``floor-get`` count as strategies. Further examples::

    readcache.hit.p50 < 2 ms
    readcache.freshness.hit_share > 50%
    readcache.hit.times_faster >= 2 * textbook
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from catalog.benchmarks.figures.results import Figure, Run
from catalog.benchmarks.figures.units import say
from catalog.options import InvalidOption

EXAMPLE = "'readcache.hit.p50 < 1.3 * floor-get'"
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "%": 0.01, "KiB": 2.0**10, "MiB": 2.0**20}
NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
WORD = r"[A-Za-z][\w+-]*"
OPERAND = re.compile(
    rf"(?:(?P<number>{NUMBER})\s*(?P<unit>{'|'.join(map(re.escape, UNITS))})"
    rf"|(?:(?P<factor>{NUMBER})\s*\*\s*)?(?P<figure>{WORD}(?:\.\w[\w+-]*\.\w+)?))"
)
GATE = re.compile(r"(?P<left>[^<>=!]+)(?P<comparison><=|>=|!=|<|>|=)(?P<right>[^<>=!]+)")


@dataclass(frozen=True, kw_only=True)
class Operand:
    """``factor`` times a figure, or the number ``factor`` alone if ``figure`` is empty."""

    factor: float
    figure: str = ""


@dataclass(frozen=True, kw_only=True)
class Gate:
    text: str
    left: Operand
    comparison: str
    right: Operand


def parse_gate(text: str) -> Gate:
    """Raises ``InvalidOption``."""
    found = GATE.fullmatch(text.strip())
    if not found:
        raise _invalid(text, "two operands and one of < <= > >= = != between them")
    left, right = _parse_operand(text, found["left"]), _parse_operand(text, found["right"])
    named = [side for side in (left, right) if "." in side.figure]
    if not named:
        raise _invalid(text, "a figure, named strategy.case.name")
    return Gate(
        text=text.strip(),
        left=_complete(left, named[0]),
        comparison=found["comparison"],
        right=_complete(right, named[0]),
    )


def require_strategies(gates: Sequence[Gate], known: Collection[str]) -> None:
    """Raises ``InvalidOption`` for a gate on any other strategy. Call it before measuring."""
    for gate in gates:
        for side in (gate.left, gate.right):
            strategy = side.figure.partition(".")[0]
            if strategy and strategy not in known:
                raise InvalidOption(
                    f"--fail-under {gate.text!r} names {strategy}, which this run does not measure. "
                    f"This run measures {', '.join(known)}."
                )


def missed_gates(gates: Sequence[Gate], run: Run) -> list[str]:
    """A sentence for each gate that does not hold or has a figure that could not be measured.

    Raises ``InvalidOption`` for a figure that the run does not have: such a gate could never fail.
    """
    figures = {figure.path: figure for result in run.experiments for figure in result.figures}
    return [sentence for gate in gates if (sentence := _judge(gate, figures))]


def _judge(gate: Gate, figures: dict[str, Figure]) -> str | None:
    sides = [side for side in (gate.left, gate.right) if side.figure]
    for side in sides:
        if side.figure not in figures:
            raise InvalidOption(f"--fail-under {gate.text!r} names {side.figure}, {_instead(side, figures)}")
    found = {side.figure: figures[side.figure] for side in sides}
    unmeasured = [path for path, figure in found.items() if figure.value is None]
    if unmeasured:
        return f"{gate.text}: {', '.join(unmeasured)} could not be measured."
    left, right = _value(gate.left, found), _value(gate.right, found)
    if COMPARISONS[gate.comparison](left, right):
        return None
    said = ", ".join(f"{path} is {say(figure.value, figure.unit)}" for path, figure in found.items())
    return f"{gate.text}: {said}."


def _instead(side: Operand, figures: dict[str, Figure]) -> str:
    strategy, case, _ = side.figure.split(".")
    near = [path for path in figures if path.startswith(f"{strategy}.{case}.")]
    known = near or sorted({figure.strategy for figure in figures.values()})
    what = "figures" if near else "strategies"
    return f"which was not measured. The {what} of this run are {', '.join(known)}."


def _value(operand: Operand, figures: dict[str, Figure]) -> float:
    if not operand.figure:
        return operand.factor
    return operand.factor * (figures[operand.figure].value or 0)


def _parse_operand(gate: str, text: str) -> Operand:
    found = OPERAND.fullmatch(text.strip())
    if not found:
        raise _invalid(gate, f"numbers and figures; {text.strip()!r} is neither")
    if found["number"]:
        return Operand(factor=float(found["number"]) * UNITS[found["unit"]])
    return Operand(factor=float(found["factor"] or 1), figure=found["figure"])


def _complete(operand: Operand, other: Operand) -> Operand:
    """Give a strategy that stands alone the case and name of the other side's figure."""
    if not operand.figure or "." in operand.figure:
        return operand
    _, _, rest = other.figure.partition(".")
    return Operand(factor=operand.factor, figure=f"{operand.figure}.{rest}")


def _invalid(text: str, rule: str) -> InvalidOption:
    return InvalidOption(f"--fail-under must have {rule}, got {text!r}. Try --fail-under {EXAMPLE}")
