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
from readcache.wording import counted


class Command(CatalogCommand):
    help = (
        "Add or remove seeded products until there are exactly --count of them. The same seed always "
        "gives the same products. Products that were not seeded are left alone."
    )
    examples = ("", "--count 1000000 --batch-size 5000", "--count 0 --no-input")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--count", type=int, default=10_000, help="Number of seeded products (default: %(default)s)."
        )
        parser.add_argument(
            "--seed", type=int, default=0, help="Seed of the made-up products (default: %(default)s)."
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
                f"Remove {counted(plan.surplus, 'seeded product')} from the database {database!r}?",
                interactive=not no_input,
            )
        try:
            with self.progress("Seeding", plan.surplus + plan.missing, verbosity=verbosity) as advance:
                result = carry_out(plan, batch_size=batch_size, on_progress=advance)
        finally:
            # After Ctrl-C too, which leaves whole batches; and if nothing was to do, for an earlier run
            # that was killed.
            flush_textbook_pages()
        if verbosity:
            self.stdout.write(_summary(plan, result))


def _summary(plan: SeedingPlan, result: SeedingResult) -> str:
    # Counted in the database, because another run may have added or removed products meanwhile.
    wanted, total = count_products(plan)
    state = f"{counted(wanted, 'product')} of seed {plan.seed}, {counted(total, 'product')} in all."
    if not (result.added or result.removed):
        return f"Nothing to do: {state}"
    removed = f" and removed {result.removed:,}" if result.removed else ""
    rate = (result.added + result.removed) / result.seconds
    return (
        f"Added {counted(result.added, 'product')}{removed} in {result.seconds:.1f} s "
        f"({rate:,.0f} per second): {state}"
    )
