from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from catalog.benchmarks.report.stored import read_run, read_stored
from catalog.benchmarks.seeding import from_json
from catalog.management.base import CatalogCommand


class Command(CatalogCommand):
    help = "Write docs/measurements.md and its pictures from stored runs; make measurements calls it."
    arguments = "--run FILE --seeding FILE "
    examples = ("--run run.json --seeding seeding.json --docs docs",)

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--run", type=Path, required=True, metavar="FILE", help="What bench_cache --format json gave.")
        add(
            "--seeding",
            type=Path,
            required=True,
            metavar="FILE",
            help="What bench_seeding --format json gave.",
        )
        add(
            "--docs",
            type=Path,
            default=Path("docs"),
            metavar="DIR",
            help="Folder to write into (default: %(default)s).",
        )

    def handle(self, *, run: Path, seeding: Path, docs: Path, verbosity: int, **options: Any) -> None:
        # matplotlib takes most of a second to import, which --help does not need.
        from catalog.benchmarks.report.measurements import write_measurements

        measured = read_run(Path(run), option="--run")
        comparison = read_stored(Path(seeding), from_json, option="--seeding", made_by="bench_seeding")
        written = write_measurements(measured, comparison, Path(docs))
        if verbosity:
            self.stdout.write("\n".join(map(str, written)))
