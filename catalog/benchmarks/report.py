"""A run in words and tables, for people: on a terminal, in a pipe, as a picture."""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from catalog.benchmarks.invalidation import InvalidationResult
from catalog.benchmarks.latency import LatencyResult
from catalog.benchmarks.run import Run
from catalog.benchmarks.statistics import NANOSECONDS, Speedup, compare, summarise
from catalog.benchmarks.strategies import FLOOR_WITH_GET, STRATEGIES, UNCACHED

PICTURE_COLUMNS = 106
PIPE_COLUMNS = 200
UNSTABLE_STDEV_SHARE = 0.1


def speedups(run: Run) -> dict[str, Speedup]:
    """How many times faster than ``uncached`` each other strategy repeats a request."""
    baseline, *others = run.latency
    return {
        result.strategy: compare(baseline.repeat_ns, result.repeat_ns, seed=run.seed)
        for result in others
        if result.strategy in STRATEGIES
    }


def floor_ratios(run: Run) -> dict[str, float]:
    """How many times as long as the floor with one GET each takes to repeat a request, by medians."""
    medians = {result.strategy: statistics.median(result.repeat_ns) for result in run.latency}
    return {name: median / medians[FLOOR_WITH_GET.name] for name, median in medians.items()}


def latency_rows(run: Run) -> list[list[str]]:
    """The latency table's cells, the first row being its heads. Times in milliseconds."""
    faster, floor = speedups(run), floor_ratios(run)
    heads = ["strategy", "cold", "min", "p50", "p95", "p99", "max", "requests/s", "times faster", "floors"]
    rows = [
        [*_latency_row(result, faster.get(result.strategy)), f"{floor[result.strategy]:.2f}"]
        for result in run.latency
    ]
    return [heads, *rows]


def invalidation_rows(run: Run) -> list[list[str]]:
    """The invalidation table's cells, the first row being its heads. Times in milliseconds."""
    heads = ["strategy", "save", "next answer", "", "the one after", ""]
    return [heads, *(_invalidation_row(result) for result in run.invalidation)]


def introduction(run: Run) -> str:
    versions = run.environment.versions
    database = next(name for name in ("sqlite", "postgresql") if name in versions)
    latency = run.simulated_latency_seconds
    slowed = f", database slowed by {latency:g} s a request" if latency else ""
    return (
        f"GET {run.path} with {run.products:,} products{slowed}; {run.requests} repeat requests each\n"
        f"Python {versions['python']}, Django {versions['django']}, {database} {versions[database]}, "
        f"Redis {versions['redis server']}, {run.environment.cores} cores"
    )


def warnings(run: Run) -> list[str]:
    """What makes the figures doubtful, with what to do about it."""
    found = []
    for result in run.latency:
        summary = summarise(result.repeat_ns)
        share = summary.stdev / summary.mean
        if share > UNSTABLE_STDEV_SHARE:
            found.append(
                f"{result.strategy}: the standard deviation is {share:.0%} of the mean. "
                "Close other programs or raise --requests."
            )
        if summary.p99 is None:
            found.append(f"{result.strategy}: no p99 from {summary.count} samples. Raise --requests to 100.")
    return found


def verdicts(run: Run) -> list[str]:
    """What the figures mean, a sentence for each strategy and question."""
    lines = []
    for name, speedup in speedups(run).items():
        if speedup.is_significant:
            lines.append(
                f"{name}: a repeat request is {speedup.ratio:.1f} times faster than uncached "
                f"(95% interval {speedup.low:.1f} to {speedup.high:.1f})."
            )
        else:
            lines.append(f"{name}: no significant difference from uncached.")
    return [*lines, *(_invalidation_verdict(result) for result in run.invalidation[1:])]


def render_text(run: Run, *, columns: int | None, colour: bool) -> str:
    """For a terminal of so many columns, with boxes; ``columns=None`` is a pipe, without any."""
    output = io.StringIO()
    console = Console(
        file=output,
        width=columns or PIPE_COLUMNS,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        legacy_windows=False,
    )
    console.print(_document(run, boxed=columns is not None))
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def render_svg(run: Run) -> str:
    """The report as a picture of a terminal. It names no web font, so it loads nothing."""
    console = Console(file=io.StringIO(), width=PICTURE_COLUMNS, record=True, force_terminal=True)
    console.print(_document(run, boxed=True))
    return console.export_svg(title="python manage.py bench_cache", code_format=SVG_FORMAT)


def _document(run: Run, *, boxed: bool) -> RenderableType:
    parts: list[RenderableType] = [
        Text(introduction(run)),
        Text(""),
        _table("Repeat requests, times in ms", latency_rows(run), boxed=boxed),
        _table("A product is saved, median times in ms", invalidation_rows(run), boxed=boxed),
        *(Text(f"Warning: {line}", style="yellow") for line in warnings(run)),
        *(Text(line, style="bold") for line in verdicts(run)),
    ]
    return Group(*parts)


def _table(title: str, rows: Sequence[Sequence[str]], *, boxed: bool) -> RenderableType:
    heads, *cells = rows
    table = Table(box=SIMPLE_HEAD if boxed else None, pad_edge=False)
    for number, head in enumerate(heads):
        is_word = number == 0 or not head
        table.add_column(head, justify="left" if is_word else "right", no_wrap=True)
    for row in cells:
        table.add_row(*(Text(cell, style="bold red" if "STALE" in cell else "") for cell in row))
    # The box ends with an empty line of its own.
    return Group(Text(title, style="bold"), table, *([] if boxed else [Text("")]))


def _latency_row(result: LatencyResult, speedup: Speedup | None) -> list[str]:
    summary = summarise(result.repeat_ns)
    return [
        result.strategy,
        _ms(statistics.median(result.cold_ns) / NANOSECONDS),
        _ms(summary.min),
        _ms(summary.p50),
        _ms(summary.p95),
        _ms(summary.p99) if summary.p99 is not None else "n/a",
        _ms(summary.max),
        f"{summary.requests_per_second:,.0f}",
        f"{speedup.ratio:.1f}" if speedup else "1 (baseline)" if result.strategy == UNCACHED.name else "",
    ]


def _invalidation_row(result: InvalidationResult) -> list[str]:
    rounds = result.rounds
    return [
        result.strategy,
        _ms(_median_seconds([one.save_ns for one in rounds])),
        _ms(_median_seconds([one.next_ns for one in rounds])),
        f"{_freshness(result)}, {_warmth(one.next_warm for one in rounds)}",
        _ms(_median_seconds([one.after_ns for one in rounds])),
        _warmth(one.after_warm for one in rounds),
    ]


def _invalidation_verdict(result: InvalidationResult) -> str:
    name = result.strategy
    if not any(one.changed for one in result.rounds):
        return f"{name}: this page does not show what was saved, so nothing had to be invalidated."
    stale = sum(not one.next_fresh for one in result.rounds)
    if stale:
        return f"{name}: the answer after a save was STALE {stale} times of {len(result.rounds)}."
    warm = sum(one.after_warm for one in result.rounds)
    return (
        f"{name}: the answer after a save was fresh every time; "
        f"the one after it came from the cache {warm} times of {len(result.rounds)}."
    )


def _freshness(result: InvalidationResult) -> str:
    return "fresh" if all(one.next_fresh for one in result.rounds) else "STALE"


def _warmth(answers: Iterable[bool]) -> str:
    values = set(answers)
    if len(values) > 1:
        return "mixed"
    return "warm" if values.pop() else "cold"


def _median_seconds(samples_ns: Sequence[int]) -> float:
    return statistics.median(samples_ns) / NANOSECONDS


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:,.2f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


# rich's own picture of a terminal, without its link to a web font.
SVG_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
