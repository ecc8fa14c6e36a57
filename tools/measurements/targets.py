"""The targets that the read cache was built to reach, and how close a run comes to each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from catalog.benchmarks.figures.names import READ_CACHE, TEXTBOOK, UNCACHED
from catalog.benchmarks.figures.results import Figure, Run
from catalog.benchmarks.figures.units import say


@dataclass(frozen=True, kw_only=True)
class Target:
    """``figures`` says which figures it is about; ``reached`` and ``is_met`` are ``None`` without them."""

    what: str
    goal: str
    figures: str
    reached: str | None
    is_met: bool | None


def targets(run: Run) -> list[Target]:
    return [make(run) for make in TARGETS]


def _value(run: Run, experiment: str, path: str) -> tuple[float | None, Figure | None]:
    results = (result for result in run.experiments if result.experiment == experiment)
    figures = (figure for result in results for figure in result.figures)
    found = next((figure for figure in figures if figure.path == path), None)
    return (found.value if found else None), found


def _at_most(what: str, experiment: str, path: str, limit: float, goal: str = "") -> Callable[[Run], Target]:
    """A target for one figure."""

    def make(run: Run) -> Target:
        value, figure = _value(run, experiment, path)
        return Target(
            what=what,
            goal=goal or f"at most {limit:g}",
            figures=f"`{path}`",
            reached=None if figure is None or value is None else say(value, figure.unit),
            is_met=None if value is None else value <= limit,
        )

    return make


def _ratio(
    what: str,
    experiment: str,
    paths: tuple[str, str],
    *,
    at_least: float = 0,
    at_most: float = float("inf"),
) -> Callable[[Run], Target]:
    """A target for the first figure divided by the second."""

    def make(run: Run) -> Target:
        (above, _), (below, _) = (_value(run, experiment, path) for path in paths)
        ratio = above / below if above is not None and below else None
        return Target(
            what=what,
            goal=f"at least {at_least:g} times" if at_least else f"at most {at_most:g} times",
            figures=f"`{paths[0]}` / `{paths[1]}`",
            reached=None if ratio is None else f"{ratio:.2f} times",
            is_met=None if ratio is None else at_least <= ratio <= at_most,
        )

    return make


def _share_of_floor(run: Run) -> Target:
    """The median over the numbers of clients: the best of several would be the luckiest."""
    values = [
        figure.value
        for result in run.experiments
        if result.experiment == "throughput"
        for figure in result.figures
        if figure.strategy == READ_CACHE and figure.case.startswith("w2c") and figure.name == "of_floor"
        if figure.value is not None
    ]
    middle = median(values) if values else None
    return Target(
        what="requests/s under gunicorn with two workers, against the floor's",
        goal="at least 0.75",
        figures=f"the median of `{READ_CACHE}.w2c*.of_floor`",
        reached=None if middle is None else f"{middle:.3f} ({min(values):.2f} to {max(values):.2f})",
        is_met=None if middle is None else middle >= 0.75,
    )


def _memory(run: Run) -> Target:
    """Compared at the largest number of keys for which the run has the read cache's memory."""
    sizes = [
        int(figure.case.removeprefix("keys_"))
        for result in run.experiments
        if result.experiment == "growth"
        for figure in result.figures
        if (figure.strategy, figure.name) == (READ_CACHE, "memory_per_page")
    ]
    case = f"keys_{max(sizes)}" if sizes else "keys_*"
    paths = (f"{TEXTBOOK}.{case}.memory_per_page", f"{READ_CACHE}.{case}.memory_per_page")
    return _ratio("a page's memory, less than the textbook's", "growth", paths, at_least=6)(run)


TARGETS: tuple[Callable[[Run], Target], ...] = (
    _at_most("a hit, in floors", "latency", f"{READ_CACHE}.hit.floors", 1.25),
    _ratio(
        "a hit, faster than the textbook's",
        "latency",
        (f"{TEXTBOOK}.hit.p50", f"{READ_CACHE}.hit.p50"),
        at_least=2.3,
    ),
    _ratio(
        "a miss, against uncached",
        "latency",
        (f"{READ_CACHE}.cold.p50", f"{UNCACHED}.cold.p50"),
        at_most=1.05,
    ),
    _share_of_floor,
    _memory,
    _at_most("stale answers", "freshness", f"{READ_CACHE}.freshness.stale", 0, "none"),
    _at_most("computations of a cold page", "stampede", f"{READ_CACHE}.stampede.computations", 1, "one"),
    _at_most("leaks", "leak", f"{READ_CACHE}.leak.found", 0, "none"),
    _at_most("slope of an invalidation by keys", "growth", f"{READ_CACHE}.slope_keys.invalidation", 0.1, "0"),
)
