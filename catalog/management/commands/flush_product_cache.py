from typing import Any

from django.core.management.base import CommandParser

from catalog.cached_pages import flush_cached_pages, page_pattern
from catalog.management.base import CatalogCommand
from catalog.textbook import PRODUCT_PREFIX


class Command(CatalogCommand):
    help = "Remove the cached product pages from Redis, and nothing else."
    examples = ("", "--dry-run", "--prefix category_list --no-input")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count the pages, remove none.")
        parser.add_argument(
            "--prefix",
            default=PRODUCT_PREFIX,
            help="The key_prefix of the pages to remove (default: %(default)s).",
        )
        parser.add_argument(
            "--cache", default="default", help="Alias of the cache in CACHES (default: %(default)s)."
        )
        parser.add_argument("--no-input", action="store_true", help="Remove them without asking.")

    def handle(
        self, *, prefix: str, cache: str, dry_run: bool, no_input: bool, verbosity: int, **options: Any
    ) -> None:
        found = flush_cached_pages(prefix=prefix, alias=cache, dry_run=True)
        if not dry_run and found.keys:
            self.confirm(
                f"Remove {found.pages:,} cached pages ({page_pattern(prefix, alias=cache)})?",
                interactive=not no_input,
            )
            found = flush_cached_pages(prefix=prefix, alias=cache)
        if verbosity:
            verb = "Would remove" if dry_run else "Removed"
            self.stdout.write(
                f"{verb} {found.pages:,} cached pages ({found.keys:,} keys) in {found.seconds * 1000:.1f} ms."
            )
