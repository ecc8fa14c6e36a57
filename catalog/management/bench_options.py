"""The command-line options of ``bench_cache``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from catalog.benchmarks.experiments.selection import ALL, DEFAULT_EXPERIMENTS, EXPERIMENTS
from catalog.benchmarks.figures.gates import EXAMPLE
from catalog.benchmarks.options import Effort
from catalog.benchmarks.strategies.registry import STRATEGIES
from catalog.options import InvalidOption

DEFAULT_PATH = "/products/"
# The options that say how to measure, by their names in the code. None of them goes with --from.
MEASURING = {
    "experiments": "EXPERIMENT",
    "strategies": "--strategy",
    "effort": "--quick or --thorough",
    "path": "--path",
    "requests": "--requests",
    "warmup": "--warmup",
    "seed": "--seed",
    "simulate_latency": "--simulate-latency",
    "yes_this_database": "--yes-this-database",
}


def require_unmeasured(options: dict[str, Any]) -> None:
    """Raises ``InvalidOption`` if an option says how to measure, although --from measures nothing."""
    unset: tuple[Any, ...] = (None, False, [], 0, DEFAULT_PATH)
    given = [name for key, name in MEASURING.items() if options.get(key) not in unset]
    if given:
        raise InvalidOption(f"--from measures nothing. Leave out {', '.join(given)}, or --from itself.")


def add_measuring_options(parser: CommandParser) -> None:
    add = parser.add_argument
    add(
        "experiments",
        nargs="*",
        metavar="EXPERIMENT",
        help=f"{', '.join((*EXPERIMENTS, ALL))} (default: {' '.join(DEFAULT_EXPERIMENTS)}).",
    )
    add(
        "--strategy",
        action="append",
        dest="strategies",
        metavar="STRATEGY",
        help=f"{', '.join(STRATEGIES)}, or MODULE:CLASS for your own (see docs/strategies.md). Repeat the "
        f"option for more strategies; uncached is always measured (default: {', '.join(STRATEGIES)}).",
    )
    effort = parser.add_mutually_exclusive_group()
    for each in (Effort.QUICK, Effort.THOROUGH):
        effort.add_argument(
            f"--{each.value}",
            action="store_const",
            const=each.value,
            dest="effort",
            help=f"Measure for a {'shorter' if each is Effort.QUICK else 'longer'} time "
            "(default: a medium time).",
        )
    add("--path", default=DEFAULT_PATH, help="Page to request, with its query (default: %(default)s).")
    add("--requests", type=int, help="Repeat requests of each strategy (default: depends on the effort).")
    add("--warmup", type=int, help="Requests before those that count (default: 20).")
    add("--seed", type=int, default=0, help="Seed of all random choices (default: %(default)s).")
    add(
        "--simulate-latency",
        type=float,
        metavar="S",
        help="Seconds that a view waits before its first query, as for a busy database (default: as "
        "configured).",
    )
    add(
        "--yes-this-database",
        action="store_true",
        help="Also write to a database on another machine (default: refuse).",
    )


def add_output_options(parser: CommandParser, *, exports: Sequence[str]) -> None:
    add = parser.add_argument
    add(
        "--format",
        choices=["table", *exports],
        default="table",
        help="Format of the results (default: %(default)s).",
    )
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="File to write after each experiment (default: stdout, at the end).",
    )
    add(
        "--report",
        type=Path,
        metavar="DIR",
        help="Folder for a web page, index.html, with its charts as SVG and the run as JSON; written after "
        "each experiment (default: none).",
    )
    add(
        "--from",
        type=Path,
        metavar="FILE",
        dest="stored",
        help="Measure nothing, show a run that was stored with --format json (default: measure).",
    )
    add(
        "--compare",
        type=Path,
        metavar="FILE",
        help="Say what has changed since the run that is stored in this file (default: no comparison).",
    )
    add(
        "--fail-under",
        action="append",
        dest="gates",
        metavar="GATE",
        help=f"End with exit code 3 unless this holds: {EXAMPLE}. Repeat the option for more gates. "
        "docs/laboratory.md describes the grammar (default: no gate).",
    )
