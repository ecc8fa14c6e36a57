"""Draws mutants of the engine and the detectors by a seed, tries them, and prints the share noticed.

Exits with 1 where the share is below the mark.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.mutants import report
from tools.mutants.areas import AREAS, ROOT, Area
from tools.mutants.drawing import draw
from tools.mutants.kept_trials import KeptTrials
from tools.mutants.measurement import Measurement, up_to_date
from tools.mutants.mutations import Mutant, equivalent
from tools.mutants.trials import OTHER_TESTS_SECONDS, Trial, tests_that_fail_without, try_all

KEPT = ROOT / ".mutants"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    measurement = up_to_date(KEPT / "measurement.json", jobs=options.jobs, say=_say)
    reasons = equivalent.load()
    areas = [area for area in AREAS if options.area in (None, area.name)]
    results = report.Results(seed=options.seed, trials={}, equivalent={})
    for area in areas:
        mutants, results.equivalent[area.name] = _drawn(
            area, measurement, reasons, options, count=options.count // len(areas)
        )
        if options.list:
            _list(mutants)
        else:
            results.trials[area.name] = _tried(mutants, measurement, options)
            results.save(options.output)
    if options.list:
        return 0
    _print(results)
    return 0 if report.share_noticed(results.everything()) >= report.MARK else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--seed", type=int, default=0, help="which mutants are drawn (default: 0)")
    add("--count", type=int, default=300, help="how many, the same number in each area (default: 300)")
    add("--jobs", type=int, default=2, help="how many are tried at once (default: 2)")
    add("--area", choices=[area.name for area in AREAS], help="draw in this area only")
    add("--only", default="", metavar="PATH", help="draw in this file or folder only")
    add("--list", action="store_true", help="print the mutants and try none")
    add("--again", action="store_true", help="try also those that an earlier run has tried")
    add(
        "--seconds",
        type=float,
        default=OTHER_TESTS_SECONDS,
        help="how long tests of other modules may take, for each mutant (default: %(default)g)",
    )
    add("--output", type=Path, default=KEPT / "results.json", help="where the results go, as JSON")
    return parser


def _drawn(
    area: Area,
    measurement: Measurement,
    reasons: Mapping[equivalent.Place, str],
    options: argparse.Namespace,
    *,
    count: int,
) -> tuple[list[Mutant], int]:
    """The mutants to try, and how many equivalent ones were drawn among them."""
    mutants: list[Mutant] = []
    passed_over = 0
    for mutant in draw(area, measurement, seed=options.seed, only=options.only):
        if len(mutants) == count:
            break
        if equivalent.reason_for(mutant, reasons) is None:
            mutants.append(mutant)
        else:
            passed_over += 1
    return mutants, passed_over


def _tried(mutants: list[Mutant], measurement: Measurement, options: argparse.Namespace) -> list[Trial]:
    """What became of each. What was noticed by a test that fails without a mutant too is tried again."""
    kept = KeptTrials(KEPT / "trials.json")
    found = () if options.again else map(kept.find, mutants)
    trials = {trial.mutant: trial for trial in found if trial is not None}
    while new := [mutant for mutant in mutants if mutant not in trials]:
        tried: list[Trial] = []

        def on_trial(trial: Trial, tried: list[Trial] = tried, count: int = len(new)) -> None:
            tried.append(trial)
            _say(f"{len(tried)}/{count} {report.describe(trial)}")

        try_all(new, measurement, jobs=options.jobs, other_tests_seconds=options.seconds, on_trial=on_trial)
        failing = tests_that_fail_without(tried, measurement)
        measurement = measurement.without(failing)
        trials |= {trial.mutant: trial for trial in tried if trial.by not in failing}
    for trial in trials.values():
        kept.add(trial)
    return [trials[mutant] for mutant in mutants]


def _list(mutants: list[Mutant]) -> None:
    for mutant in mutants:
        print(f"{mutant.path}:{mutant.line} {mutant.kind}: {mutant.before} -> {mutant.after}")


def _print(results: report.Results) -> None:
    print(report.table(results))
    for block in report.survivors(results):
        print(f"\n{block}")
    listed = ", ".join(f"{count} ({area})" for area, count in results.equivalent.items())
    print(f"\nPassed over, because equivalent.toml says why no test can notice them: {listed}.")
    print(report.verdict(results))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
