from typing import Any

from django.core.management.base import CommandParser

from catalog.flushing import flush
from catalog.management.base import CatalogCommand


class Command(CatalogCommand):
    help = (
        "Remove the cached product pages from Redis, and nothing else: the textbook's pages, and the "
        "read cache's entries, which are dead at once and then swept."
    )
    examples = ("", "--dry-run", "--prefix category_list --no-input")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count them, remove none.")
        parser.add_argument(
            "--prefix",
            help="Only the pages of this key_prefix and the entries of this read cache "
            "(default: product_list, and every read cache that depends on products).",
        )
        parser.add_argument(
            "--cache",
            default="default",
            help="Alias of the textbook's cache in CACHES (default: %(default)s).",
        )
        parser.add_argument("--no-input", action="store_true", help="Remove them without asking.")

    def handle(
        self,
        *,
        prefix: str | None,
        cache: str,
        dry_run: bool,
        no_input: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        found = flush(prefix=prefix, alias=cache, dry_run=True)
        if not dry_run:
            if found.pages.keys or found.entries:
                self.confirm(
                    f"Remove {found.pages.pages:,} cached pages of the textbook and {found.entries:,} "
                    f"entries of the read cache{f' with the prefix {prefix}' if prefix else ''}?",
                    interactive=not no_input,
                )
            # Also where nothing was found: what is being filled now is made from what was there before.
            found = flush(prefix=prefix, alias=cache)
        if verbosity:
            what = (
                f"{found.pages.pages:,} cached pages ({found.pages.keys:,} keys) and "
                f"{found.entries:,} entries of the read cache"
            )
            self.stdout.write(
                f"Would remove {what}."
                if dry_run
                else f"Removed {what} in {found.seconds * 1000:.1f} ms; "
                f"the rotation took {found.rotation_seconds * 1000:.1f} ms."
            )
