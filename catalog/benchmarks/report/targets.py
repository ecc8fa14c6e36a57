"""The marks that the read cache was built to reach, and what a run shows of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from catalog.benchmarks.figures.results import Figure, Run
from catalog.benchmarks.figures.units import say
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED

OURS, THEIRS, NONE = READ_CACHE.name, TEXTBOOK.name, UNCACHED.name


@dataclass(frozen=True, kw_only=True)
class Mark:
    """``reached`` and ``is_met`` are ``None`` where the run has no figure for it."""

    what: str
    goal: str
    figures: str
    reached: str | None
    is_met: bool | None


def marks(run: Run) -> list[Mark]:
    return [make(run) for make in MARKS]


def _find(run: Run, experiment: str, path: str) -> Figure | None:
    results = (result for result in run.experiments if result.experiment == experiment)
    figures = (figure for result in results for figure in result.figures)
    return next((figure for figure in figures if figure.path == path), None)


def _at_most(what: str, experiment: str, path: str, limit: float, said: str = "") -> Callable[[Run], Mark]:
    """A figure that is itself what the mark is about."""

    def make(run: Run) -> Mark:
        figure = _find(run, experiment, path)
        value = figure.value if figure else None
        return Mark(
            what=what,
            goal=said or f"at most {limit:g}",
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
    at_least: float | None = None,
    at_most: float | None = None,
) -> Callable[[Run], Mark]:
    """The first figure over the second one."""

    def make(run: Run) -> Mark:
        above, below = (figure.value if (figure := _find(run, experiment, path)) else None for path in paths)
        ratio = above / below if above is not None and below else None
        goal = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
        is_met = None
        if ratio is not None:
            is_met = (at_least is None or ratio >= at_least) and (at_most is None or ratio <= at_most)
        return Mark(
            what=what,
            goal=f"{goal} times",
            figures=f"`{paths[0]}` / `{paths[1]}`",
            reached=None if ratio is None else f"{ratio:.2f} times",
            is_met=is_met,
        )

    return make


def _share_of_floor(run: Run) -> Mark:
    """The median over the numbers of clients: the best of several would be the luckiest."""
    values = [
        figure.value
        for result in run.experiments
        if result.experiment == "throughput"
        for figure in result.figures
        if figure.strategy == OURS and figure.case.startswith("w2c") and figure.name == "of_floor"
        if figure.value is not None
    ]
    middle = median(values) if values else None
    return Mark(
        what="requests/s under gunicorn with two workers, against the floor's",
        goal="at least 0.75",
        figures=f"the median of `{OURS}.w2c*.of_floor`",
        reached=None if middle is None else f"{middle:.3f} ({min(values):.2f} to {max(values):.2f})",
        is_met=None if middle is None else middle >= 0.75,
    )


def _memory(run: Run) -> Mark:
    """With the most keys that both strategies were measured with."""
    cases = {
        figure.case: int(figure.case.removeprefix("keys_"))
        for result in run.experiments
        if result.experiment == "growth"
        for figure in result.figures
        if (figure.strategy, figure.name) == (OURS, "memory_per_page")
    }
    case = max(cases, key=lambda name: cases[name], default="keys_*")
    paths = (f"{THEIRS}.{case}.memory_per_page", f"{OURS}.{case}.memory_per_page")
    return _ratio("a page's memory, less than the textbook's", "growth", paths, at_least=6)(run)


MARKS: tuple[Callable[[Run], Mark], ...] = (
    _at_most("a hit, in floors", "latency", f"{OURS}.hit.floors", 1.25),
    _ratio(
        "a hit, faster than the textbook's",
        "latency",
        (f"{THEIRS}.hit.p50", f"{OURS}.hit.p50"),
        at_least=2.3,
    ),
    _ratio("a miss, against uncached", "latency", (f"{OURS}.cold.p50", f"{NONE}.cold.p50"), at_most=1.05),
    _share_of_floor,
    _memory,
    _at_most("stale answers", "freshness", f"{OURS}.freshness.stale", 0, "none"),
    _at_most("computations of a cold page", "stampede", f"{OURS}.stampede.computations", 1, "one"),
    _at_most("leaks", "leak", f"{OURS}.leak.found", 0, "none"),
    _at_most("slope of an invalidation by keys", "growth", f"{OURS}.slope_keys.invalidation", 0.1, "0"),
)
