from typing import Any

from django.core.management.base import CommandParser

from catalog.flushing import Flushed, flush
from catalog.management.base import CatalogCommand
from readcache.wording import counted


class Command(CatalogCommand):
    help = (
        "Remove the cached product pages from Redis, and no other keys. This invalidates the entries of "
        "the read cache at once, then deletes them and the textbook's pages."
    )
    examples = ("", "--dry-run", "--prefix category_list --no-input")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Count the pages and entries without removing them."
        )
        parser.add_argument(
            "--prefix",
            help="Remove only the textbook's pages with this key_prefix and the entries of the ReadCache "
            "with this prefix (default: the pages of product_list, and all entries that depend on products).",
        )
        parser.add_argument(
            "--cache",
            default="default",
            help="Alias of the textbook's cache in CACHES (default: %(default)s).",
        )
        parser.add_argument("--no-input", action="store_true", help="Remove without asking.")

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
                    f"Remove {counted(found.pages.pages, 'page')} of the textbook and "
                    f"{counted(found.entries, 'entry', 'entries')} of the read cache"
                    f"{f' with the prefix {prefix}' if prefix else ''}?",
                    interactive=not no_input,
                )
            # Also if nothing was found: a fill that is under way would store data from before the flush.
            found = flush(prefix=prefix, alias=cache)
        if verbosity:
            self.stdout.write(_summary(found, dry_run=dry_run))


def _summary(found: Flushed, *, dry_run: bool) -> str:
    removed = (
        f"{counted(found.pages.pages, 'page')} of the textbook ({counted(found.pages.keys, 'key')}) and "
        f"{counted(found.entries, 'entry', 'entries')} of the read cache"
    )
    if dry_run:
        return f"Would remove {removed}."
    return (
        f"Removed {removed} in {found.seconds * 1000:.1f} ms. "
        f"The rotation took {found.rotation_seconds * 1000:.1f} ms."
    )
