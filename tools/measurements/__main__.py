"""``python -m tools.measurements seeding`` measures seeding, ``… page`` writes docs/measurements.md."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import django


def main(arguments: Sequence[str]) -> int:
    # Importable only after django.setup().
    from catalog.options import InvalidOption

    options = vars(_parser().parse_args(arguments))
    try:
        options.pop("tool")(**options)
    except InvalidOption as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.measurements", description="Write docs/measurements.md."
    )
    tools = parser.add_subparsers(required=True, metavar="TOOL")
    seeding = tools.add_parser("seeding", help="Compare seeding to a bare bulk_create, as JSON.")
    seeding.set_defaults(tool=_seeding)
    seeding.add_argument("--count", type=int, default=20_000, help="Products to write each time.")
    seeding.add_argument("--batch-size", type=int, default=2000, help="Products per batch.")
    seeding.add_argument("--rounds", type=int, default=7, help="How many times each one takes its turn.")
    page = tools.add_parser("page", help="Write measurements.md, its pictures and measurements.json.")
    page.set_defaults(tool=_page)
    page.add_argument("--run", type=Path, required=True, help="The JSON of bench_cache.")
    page.add_argument("--seeding", type=Path, required=True, help="The JSON of the tool seeding.")
    page.add_argument("--docs", type=Path, default=Path("docs"), help="The folder to write into.")
    return parser


def _seeding(*, count: int, batch_size: int, rounds: int) -> None:
    from tools.measurements.seeding import measure_seeding, to_json

    sys.stdout.write(f"{to_json(measure_seeding(count=count, batch_size=batch_size, rounds=rounds))}\n")


def _page(*, run: Path, seeding: Path, docs: Path) -> None:
    from catalog.benchmarks.report.export import read_run, read_stored
    from tools.measurements.page import write_measurements
    from tools.measurements.seeding import from_json

    comparison = read_stored(
        seeding, from_json, option="--seeding", made_by="python -m tools.measurements seeding"
    )
    written = write_measurements(read_run(run, option="--run"), comparison, docs)
    sys.stdout.write("".join(f"{path}\n" for path in written))


if __name__ == "__main__":
    # Not in main(): setting Django up again binds its log to whatever stderr is then, a test's for example.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    django.setup()
    sys.exit(main(sys.argv[1:]))
