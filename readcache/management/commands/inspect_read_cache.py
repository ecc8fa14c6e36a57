from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from readcache.inspection import StoredEntry, stored_entries, stored_entry
from readcache.management.base import EXIT_USAGE, ReadCacheCommand

FORMATS = ("table", "json")
HEADS = ("key", "state", "age", "ttl", "stored", "inflated", "tables")


class Command(ReadCacheCommand):
    help = (
        "List the entries of the read cache with their state, age, time to live, size and tables, or show "
        "the body of one entry. A dead entry is not served any more: a write has changed one of its tables."
    )
    examples = (
        "",
        "--format json",
        "'books:http://localhost:8000/books/'",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", nargs="?", metavar="KEY", help="Show the body of this entry.")
        parser.add_argument(
            "--format", choices=FORMATS, default="table", help="Form of the list (default: %(default)s)."
        )

    def handle(self, *, key: str | None, format: str, **options: Any) -> None:
        if format not in FORMATS:
            raise CommandError(
                f"--format must be one of {', '.join(FORMATS)}, got {format!r}.", returncode=EXIT_USAGE
            )
        if key is not None:
            self.stdout.write(_body(key))
        elif format == "json":
            self.stdout.write(json.dumps([_document(found) for found in stored_entries()], indent=2))
        else:
            rows = [_row(found) for found in sorted(stored_entries(), key=lambda found: found.key)]
            columns = shutil.get_terminal_size().columns if self.stdout.isatty() else None
            self.stdout.write(_list(rows, columns=columns) if rows else "The read cache is empty.")


def _body(key: str) -> str:
    found = stored_entry(key)
    if found is None or found.entry is None:
        raise CommandError(f"KEY must be the key of an entry, got {key!r}. List the keys without KEY.")
    return json.dumps(json.loads(found.entry.body), indent=2, ensure_ascii=False)


def _list(rows: Sequence[Sequence[str]], *, columns: int | None) -> str:
    """A table. If it is wider than the terminal, a paragraph for each entry, with the key in one piece."""
    table = _table([HEADS, *rows])
    if columns is None or max(map(len, table)) <= columns:
        return "\n".join(table)
    return "\n".join(
        f"{key}\n  {state}, {age} old, {ttl} to live, {stored} stored, {inflated} inflated\n  {tables}"
        for key, state, age, ttl, stored, inflated, tables in rows
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _row(found: StoredEntry) -> tuple[str, ...]:
    state = "foreign" if found.entry is None else "live" if found.is_live else "dead"
    return (
        found.key,
        state,
        f"{found.age_seconds:.0f} s",
        f"{found.ttl_seconds:.0f} s",
        f"{found.stored_bytes:,} B",
        f"{found.inflated_bytes:,} B",
        ", ".join(found.tags),
    )


def _document(found: StoredEntry) -> dict[str, Any]:
    return {
        "key": found.key,
        "live": found.is_live,
        "age_seconds": round(found.age_seconds, 3),
        "ttl_seconds": round(found.ttl_seconds, 3),
        "stored_bytes": found.stored_bytes,
        "inflated_bytes": found.inflated_bytes,
        "tags": list(found.tags),
    }
