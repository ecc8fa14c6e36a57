from typing import Any

from django.core.management.base import CommandParser

from catalog.benchmarks.report.seeding import render_text
from catalog.benchmarks.seeding import measure_seeding, to_json
from catalog.management.base import CatalogCommand
from catalog.options import require_whole_number
from catalog.seeding import require_batch_size

# Ready-made products are kept in memory, a kilobyte each.
MAX_COUNT = 1_000_000
MAX_ROUNDS = 1_000


class Command(CatalogCommand):
    help = (
        "Compare seeding with a bare bulk_create of ready-made products. Everything is rolled back: "
        "the catalogue stays as it is."
    )
    examples = ("", "--count 50000 --rounds 11", "--format json > seeding.json")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--count", type=int, default=20_000, help="Products to write each time (default: %(default)s)."
        )
        parser.add_argument(
            "--batch-size", type=int, default=2000, help="Products per batch (default: %(default)s)."
        )
        parser.add_argument(
            "--rounds", type=int, default=7, help="How many times each takes its turn (default: %(default)s)."
        )
        parser.add_argument(
            "--format",
            choices=["table", "json"],
            default="table",
            help="Form of the results; json has the seconds of every turn (default: %(default)s).",
        )

    def handle(
        self, *, count: int, batch_size: int, rounds: int, format: str, verbosity: int, **options: Any
    ) -> None:
        require_whole_number("--count", count, minimum=1, maximum=MAX_COUNT)
        require_whole_number("--rounds", rounds, minimum=1, maximum=MAX_ROUNDS)
        require_batch_size(batch_size)
        with self.progress("Measuring", rounds, verbosity=verbosity) as advance:
            result = measure_seeding(count=count, batch_size=batch_size, rounds=rounds, on_progress=advance)
        if verbosity:
            self.stdout.write(to_json(result) if format == "json" else render_text(result))
