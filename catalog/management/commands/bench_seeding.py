import statistics
from typing import Any

from django.core.management.base import CommandParser

from catalog.benchmarks.seeding import SeedingComparison, measure_seeding
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
    examples = ("", "--count 50000 --rounds 11")

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

    def handle(self, *, count: int, batch_size: int, rounds: int, verbosity: int, **options: Any) -> None:
        require_whole_number("--count", count, minimum=1, maximum=MAX_COUNT)
        require_whole_number("--rounds", rounds, minimum=1, maximum=MAX_ROUNDS)
        require_batch_size(batch_size)
        with self.progress("Measuring", rounds, verbosity=verbosity) as advance:
            result = measure_seeding(count=count, batch_size=batch_size, rounds=rounds, on_progress=advance)
        if verbosity:
            self.stdout.write(_report(result))


def _report(result: SeedingComparison) -> str:
    rows = [
        ("seed_products", result.seeding_seconds),
        ("bulk_create of ready-made products", result.bare_seconds),
        ("the same, and of ready-made tag rows", result.bare_with_tags_seconds),
    ]
    lines = [
        f"{name:<38}{result.count / statistics.median(seconds):>9,.0f} products/s "
        f"({result.count / max(seconds):,.0f} to {result.count / min(seconds):,.0f})"
        for name, seconds in rows
    ]
    verdict = (
        f"Seeding is {result.speed_share:.2f} times as fast as bulk_create of ready-made products, "
        f"and {result.speed_share_with_tags:.2f} times as fast as writing the same rows."
    )
    return "\n".join([*lines, verdict])
