from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalog.benchmarks.client import BenchmarkError
from catalog.benchmarks.freshness import FreshnessResult, measure_freshness
from catalog.benchmarks.strategies import TEXTBOOK
from catalog.management.base import CatalogCommand

DEFAULT_STRATEGIES = ("textbook", "readcache")
NUMBERS = (
    ("--seconds", float, 5, "How long each strategy is measured"),
    ("--readers", int, 4, "Processes that read over HTTP"),
    ("--writers", int, 2, "Processes that write, each on products of its own"),
    ("--workers", int, 2, "Processes of the server"),
    ("--seed", int, 0, "Seed of what is read and written"),
)


class Command(CatalogCommand):
    help = (
        "Read from real servers while other processes write, and count the answers that lack what was "
        "acknowledged before. The products are its own. Fails if any but the textbook's are stale."
    )
    examples = ("", "--seconds 60 --writers 4", "--strategy uncached --strategy readcache")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--strategy",
            action="append",
            dest="strategies",
            help="Strategy to measure; may be repeated (default: textbook and readcache).",
        )
        for option, type_, default, text in NUMBERS:
            parser.add_argument(option, type=type_, default=default, help=f"{text} (default: %(default)s).")

    def handle(self, *, strategies: list[str] | None, verbosity: int, **options: Any) -> None:
        chosen = [*dict.fromkeys(strategies or DEFAULT_STRATEGIES)]
        numbers = {option[2:]: options[option[2:]] for option, *_ in NUMBERS}
        try:
            with self.progress("Measuring", len(chosen), verbosity=verbosity) as advance:
                results = measure_freshness(strategies=chosen, on_progress=advance, **numbers)
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        if verbosity:
            self.stdout.write(_report(results))
        if broken := {each.strategy for each in results if not each.is_fresh} - {TEXTBOOK.name}:
            raise CommandError(f"Answers were not fresh: {', '.join(sorted(broken))}.")


def _report(results: list[FreshnessResult]) -> str:
    heads = ("reads", "hits", "writes", "rolled back", "stale reads", "uncommitted", "oldest stale")
    lines = [" " * 10 + "".join(f"{head:>13}" for head in heads)]
    for each in results:
        cells = [f"{each.reads:,}", f"{each.hit_share:.0%}", f"{each.writes:,}", f"{each.rollbacks:,}"]
        oldest = f"{each.oldest_stale_seconds * 1000:,.0f} ms" if each.stale_reads else "-"
        cells += [f"{each.stale_reads:,}", f"{each.uncommitted_reads:,}", oldest]
        lines.append(f"{each.strategy:<10}" + "".join(f"{cell:>13}" for cell in cells))
    return "\n".join(lines)
