import json
import shutil
from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalog.management.base import CatalogCommand
from catalog.management.tables import render_table
from catalog.options import require_one_of
from readcache.inspection import StoredEntry, stored_entries, stored_entry

FORMATS = ("table", "json")
HEADS = ["key", "state", "age", "ttl", "stored", "inflated", "tags"]


class Command(CatalogCommand):
    help = (
        "Show what the read cache holds: each entry's age, time to live, size and tags; or one entry's body."
    )
    examples = (
        "",
        "--format json",
        "product_list:http://localhost/products/",
    )

    arguments = "[KEY] "

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", nargs="?", metavar="KEY", help="Show the body of this entry.")
        parser.add_argument(
            "--format",
            choices=FORMATS,
            default="table",
            help="Form of the list (default: %(default)s).",
        )

    def handle(self, *, key: str | None, format: str, **options: Any) -> None:
        require_one_of("--format", format, FORMATS)
        if key is not None:
            self.stdout.write(_body(key))
        elif format == "json":
            self.stdout.write(json.dumps([_document(each) for each in stored_entries()], indent=2))
        else:
            rows = [_row(each) for each in sorted(stored_entries(), key=lambda each: each.key)]
            columns = shutil.get_terminal_size().columns if self.stdout.isatty() else None
            self.stdout.write(_list(rows, columns=columns) if rows else "The read cache is empty.")


def _body(key: str) -> str:
    found = stored_entry(key)
    if found is None or found.entry is None:
        raise CommandError(f"KEY must be an entry of the read cache, got {key!r}. List them without KEY.")
    return json.dumps(json.loads(found.entry.body), indent=2, ensure_ascii=False)


def _list(rows: list[list[str]], *, columns: int | None) -> str:
    """A table; where the terminal is too narrow for one, a paragraph an entry, with its key in one piece."""
    plain = render_table(HEADS, rows, columns=None)
    if columns is None:
        return plain
    if max(map(len, plain.splitlines())) < columns:
        return render_table(HEADS, rows, columns=columns)
    return "\n".join(
        f"{key}\n  {state}, {age} old, {ttl} to live, {stored} stored, {inflated} inflated\n  {tags}"
        for key, state, age, ttl, stored, inflated, tags in rows
    )


def _row(found: StoredEntry) -> list[str]:
    state = "foreign" if found.entry is None else "live" if found.is_live else "dead"
    return [
        found.key,
        state,
        f"{found.age_seconds:.0f} s",
        f"{found.ttl_seconds:.0f} s",
        f"{found.stored_bytes:,} B",
        f"{found.inflated_bytes:,} B",
        ", ".join(found.tags),
    ]


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
