from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from readcache.declarations import declarations
from readcache.flushing import Selection, UnknownName, count, flush, select
from readcache.management.base import EXIT_USAGE, ReadCacheCommand
from readcache.wording import counted


class Command(ReadCacheCommand):
    help = (
        "Empty the read cache, or the part that belongs to some views or models. First every selected entry "
        "becomes dead, at once and in every process; then the entries are removed from Redis. Nothing else "
        "in Redis is touched. Other entries that depend on the same tables become dead too and are computed "
        "again when they are asked for."
    )
    examples = ("", "--dry-run", "books library.Author --no-input")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "names",
            nargs="*",
            metavar="NAME",
            help="Prefix of a ReadCache, or a model that one depends on, as app_label.Model "
            "(default: everything).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Count the entries, change nothing.")
        parser.add_argument("--no-input", action="store_true", help="Do not ask.")

    def handle(
        self, *, names: Sequence[str], dry_run: bool, no_input: bool, verbosity: int, **options: Any
    ) -> None:
        selection = _select(names)
        if dry_run:
            if verbosity:
                self.stdout.write(f"Would remove {_entries(count(selection))}.")
            return
        if not no_input:
            _confirm(f"Remove {_entries(count(selection))} {_source(names)}?")
        flushed = flush(selection)
        if verbosity:
            self.stdout.write(
                f"Removed {_entries(flushed.entries)} in {flushed.seconds * 1000:.1f} ms. "
                f"All were dead after {flushed.rotation_seconds * 1000:.1f} ms."
            )


def _select(names: Sequence[str]) -> Selection:
    try:
        return select(names)
    except UnknownName as error:
        known = ", ".join(sorted(each.prefix for each in declarations())) or "none"
        raise CommandError(
            f"NAME must be the prefix of a ReadCache or a model that one depends on, got {str(error)!r}. "
            f"Known prefixes: {known}.",
            returncode=EXIT_USAGE,
        ) from None


def _confirm(question: str) -> None:
    """Return if the user agrees; otherwise raise ``CommandError``."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(f"{question} There is no terminal to ask on. Add --no-input to agree.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError("Nothing was changed.")


def _entries(number: int) -> str:
    return counted(number, "entry", "entries")


def _source(names: Sequence[str]) -> str:
    return f"of {', '.join(names)} from the read cache" if names else "from the read cache"
