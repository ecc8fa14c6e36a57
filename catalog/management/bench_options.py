"""The options of ``bench_cache``, which are too many for its own module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.core.management.base import CommandParser

from catalog.benchmarks.experiments.selection import ALL, DEFAULT_EXPERIMENTS, EXPERIMENTS
from catalog.benchmarks.figures.gates import EXAMPLE
from catalog.benchmarks.options import Effort
from catalog.benchmarks.strategies.registry import STRATEGIES

DEFAULT_PATH = "/products/"
# What says how to measure, by the name of the option: nothing that goes with --from.
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
        help=f"{', '.join(STRATEGIES)}, or MODULE:CLASS of your own, see docs/strategies.md; may be "
        "repeated; uncached is always there (default: all but those of your own).",
    )
    effort = parser.add_mutually_exclusive_group()
    for each in (Effort.QUICK, Effort.THOROUGH):
        effort.add_argument(
            f"--{each.value}",
            action="store_const",
            const=each.value,
            dest="effort",
            help=f"Measure a {'shorter' if each is Effort.QUICK else 'longer'} time (default: between).",
        )
    add("--path", default=DEFAULT_PATH, help="Page to ask for, with its query (default: %(default)s).")
    add("--requests", type=int, help="Repeat requests of each strategy (default: by effort).")
    add("--warmup", type=int, help="Requests before those that count (default: 20).")
    add("--seed", type=int, default=0, help="Seed of all that is drawn by chance (default: %(default)s).")
    add(
        "--simulate-latency",
        type=float,
        metavar="S",
        help="Seconds that the database pretends to take a request (default: as configured).",
    )
    add(
        "--yes-this-database",
        action="store_true",
        help="Write to a database on another machine, too (default: refuse).",
    )


def add_output_options(parser: CommandParser, *, exports: Sequence[str]) -> None:
    add = parser.add_argument
    add(
        "--format",
        choices=["table", *exports],
        default="table",
        help="Form of the results; svg is a picture of the tables (default: %(default)s).",
    )
    add("--output", type=Path, metavar="FILE", help="File to write (default: stdout).")
    add(
        "--report",
        type=Path,
        metavar="DIR",
        help="Folder for a web page, index.html, and its charts as SVG and PNG (default: none).",
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
        metavar="OLD.json",
        help="An older run, stored with --format json: say what has changed since (default: nothing).",
    )
    add(
        "--fail-under",
        action="append",
        dest="gates",
        metavar="GATE",
        help=f"Exit with 3 unless this holds, for example {EXAMPLE}; may be repeated (default: none). "
        "The grammar is in docs/laboratory.md.",
    )
