"""Formats numbers with a unit of a fitting size. All numbers of a column have the same unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from catalog.benchmarks.figures.results import Unit

NOT_MEASURED = "n/a"
# The names and sizes of each unit, the largest first.
SCALES: dict[Unit, tuple[tuple[str, float], ...]] = {
    "s": (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)),
    "bytes": (("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0)),
    "1/s": (("/s", 1.0),),
    "share": (("%", 0.01),),
    "count": (("", 1.0),),
    "ratio": (("", 1.0),),
}


def fitting_scale(values: Iterable[float | None], unit: Unit) -> tuple[str, float]:
    """The name and size of the largest unit in which every value is at least 0.1."""
    magnitudes = [abs(value) for value in values if value]
    if not magnitudes:
        return SCALES[unit][0]
    least = min(magnitudes)
    for name, size in SCALES[unit]:
        if least >= 0.1 * size:
            return name, size
    return SCALES[unit][-1]


def format_quantity(value: float | None, unit: Unit, scale: tuple[str, float]) -> str:
    """The number without its unit, to about three digits."""
    if value is None:
        return NOT_MEASURED
    scaled = value / scale[1]
    if scaled == 0:
        return "0"
    if unit == "count" and scaled == int(scaled):
        return f"{int(scaled):,}"
    magnitude = abs(scaled)
    digits = 0 if magnitude >= 100 else 1 if magnitude >= 10 else 2
    return f"{scaled:z,.{digits}f}"


def say(value: float | None, unit: Unit) -> str:
    """One number with its unit, for a sentence."""
    scale = fitting_scale([value], unit)
    name = scale[0]
    text = format_quantity(value, unit, scale)
    if not name or value is None:
        return text
    return f"{text}{name}" if name in ("%", "/s") else f"{text} {name}"


def column(values: Sequence[float | None], unit: Unit) -> tuple[str, list[str]]:
    """The name of the unit and the texts of a column. A column without a number has no unit."""
    scale = fitting_scale(values, unit)
    name = "" if all(value is None for value in values) else scale[0]
    return name, [format_quantity(value, unit, scale) for value in values]
