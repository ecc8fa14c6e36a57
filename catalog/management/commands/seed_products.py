from typing import Any

from django.core.management.base import CommandParser

from catalog.flushing import flush_textbook_pages
from catalog.management.base import CatalogCommand
from catalog.seeding import (
    SeedingPlan,
    SeedingResult,
    carry_out,
    count_products,
    plan_seeding,
    require_batch_size,
)


class Command(CatalogCommand):
    help = (
        "Bring the number of seeded products to exactly --count. The same seed gives the same "
        "products; products that were not seeded are left alone."
    )
    examples = ("", "--count 1000000 --batch-size 5000", "--count 0 --no-input")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--count", type=int, default=10_000, help="Number of seeded products (default: %(default)s)."
        )
        parser.add_argument(
            "--seed", type=int, default=0, help="Which products to make up (default: %(default)s)."
        )
        parser.add_argument(
            "--batch-size",
            type=int,
            default=2000,
            help="Products per transaction (default: %(default)s).",
        )
        parser.add_argument(
            "--clear", action="store_true", help="Remove all seeded products first (default: keep them)."
        )
        parser.add_argument("--no-input", action="store_true", help="Remove without asking.")
        parser.add_argument(
            "--database", default="default", help="Alias of the database (default: %(default)s)."
        )

    def handle(
        self,
        *,
        count: int,
        seed: int,
        batch_size: int,
        clear: bool,
        no_input: bool,
        database: str,
        verbosity: int,
        **options: Any,
    ) -> None:
        require_batch_size(batch_size)
        plan = plan_seeding(count=count, seed=seed, clear=clear, database=database)
        if plan.surplus:
            self.confirm(
                f"Remove {plan.surplus:,} seeded products from database {database!r}?",
                interactive=not no_input,
            )
        try:
            with self.progress("Seeding", plan.surplus + plan.missing, verbosity=verbosity) as advance:
                result = carry_out(plan, batch_size=batch_size, on_progress=advance)
        finally:
            # Also after Ctrl-C, and where an earlier run could not: whole batches are there.
            flush_textbook_pages()
        if verbosity:
            self.stdout.write(_summary(plan, result))


def _summary(plan: SeedingPlan, result: SeedingResult) -> str:
    # Counted and not taken from the plan: another seeding may have been at work.
    wanted, total = count_products(plan)
    state = f"{wanted:,} products of seed {plan.seed}, {total:,} products in all."
    if not (result.added or result.removed):
        return f"Nothing to do: {state}"
    removed = f" and removed {result.removed:,}" if result.removed else ""
    rate = (result.added + result.removed) / result.seconds
    return f"Added {result.added:,}{removed} in {result.seconds:.1f} s ({rate:,.0f} products/s): {state}"
