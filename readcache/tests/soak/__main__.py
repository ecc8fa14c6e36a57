"""The command line of the soak."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from itertools import islice
from random import SystemRandom

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "library.settings")
# The models need Django's registry of apps.
django.setup()

from django.db import connection  # noqa: E402
from django.test.utils import (  # noqa: E402
    setup_databases,
    setup_test_environment,
    teardown_databases,
)

from soak.processes.without import RULES  # noqa: E402
from soak.rounds import RoundReport  # noqa: E402
from soak.run import run_soak  # noqa: E402
from soak.schedule import make_round, make_rounds  # noqa: E402

MOST_FINDINGS = 5


def main() -> int:
    options = _parser().parse_args()
    if options.show_round:
        for step in make_round(options.seed, options.show_round, vendor=connection.vendor).steps:
            print(step)
        return 0
    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        return _run(options)
    finally:
        teardown_databases(databases, verbosity=0)


def _run(options: argparse.Namespace) -> int:
    print(f"Seed {options.seed} on {connection.vendor}. The same seed repeats the schedule.", flush=True)
    rounds = make_rounds(options.seed, options.first_round, vendor=connection.vendor)
    reports = run_soak(
        islice(rounds, options.rounds),
        seconds=options.seconds,
        without=options.without,
        on_round=_print_round,
    )
    _print_sum(reports)
    if not (reports and reports[-1].findings):
        return 0
    print(f"Repeat this round: --seed {options.seed} --first-round {reports[-1].number} --rounds 1")
    return 1


def _print_round(report: RoundReport) -> None:
    writes = ", ".join(f"{number} {outcome}" for outcome, number in sorted(report.writes.items()))
    faults = ", ".join(f"{number} x {kind}" for kind, number in sorted(report.faults.items()))
    print(
        f"Round {report.number}: writes {writes}; faults {faults or 'none'}; {report.answers} answers, "
        f"{report.hits} of them hits, {report.judged} facts had to be new.",
        flush=True,
    )
    if report.findings:
        print("\n".join([*report.events, *report.findings[:MOST_FINDINGS]]), flush=True)


def _print_sum(reports: list[RoundReport]) -> None:
    writes = sum((report.writes for report in reports), Counter[str]())
    faults = sum((report.faults for report in reports), Counter[str]())
    print(
        f"{len(reports)} rounds: {writes.total()} writes ({writes['killed']} killed), {faults.total()} "
        f"faults, {sum(report.answers for report in reports)} answers, "
        f"{sum(report.hits for report in reports)} of them hits, "
        f"{sum(report.judged for report in reports)} facts had to be new, "
        f"{sum(len(report.findings) for report in reports)} findings."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m soak",
        description="Writes, kills and faults of Redis at random, and readers that must not see old data.",
    )
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=60, help="begin no round later (default: 60)")
    parser.add_argument("--first-round", type=int, default=1, metavar="N")
    parser.add_argument("--rounds", type=int, metavar="N", help="stop after so many rounds")
    parser.add_argument("--show-round", type=int, metavar="N", help="print the steps of this round, and end")
    parser.add_argument("--without", choices=RULES, default="", help="take this rule out of the engine")
    return parser


if __name__ == "__main__":
    sys.exit(main())
