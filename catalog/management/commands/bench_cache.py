import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalog.benchmarks.client import BenchmarkError
from catalog.benchmarks.export import to_csv, to_json, to_markdown
from catalog.benchmarks.output import output_file
from catalog.benchmarks.report import render_svg, render_text, speedups
from catalog.benchmarks.run import Run, run_benchmark
from catalog.benchmarks.strategies import STRATEGIES
from catalog.management.base import CatalogCommand
from catalog.options import require_at_least

EXIT_MISSED = 3
EXPORTS: dict[str, Callable[[Run], str]] = {
    "json": to_json,
    "csv": to_csv,
    "markdown": to_markdown,
    "svg": render_svg,
}


class Command(CatalogCommand):
    help = (
        "Time repeat requests with and without a cache, then save a product and see whether the next "
        "answer shows it. Leaves catalogue and cache as they were."
    )
    examples = (
        "",
        "--path '/products/?search=lamp&ordering=price' --requests 500",
        "--format json --output bench.json --fail-under 2",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--requests",
            type=int,
            default=200,
            help="Repeat requests of each strategy (default: %(default)s).",
        )
        parser.add_argument(
            "--warmup", type=int, default=20, help="Requests before those that count (default: %(default)s)."
        )
        parser.add_argument(
            "--seed", type=int, default=0, help="Seed of the order of turns (default: %(default)s)."
        )
        parser.add_argument(
            "--path", default="/products/", help="Page to ask for, with its query (default: %(default)s)."
        )
        parser.add_argument(
            "--strategy",
            action="append",
            dest="strategies",
            choices=[*STRATEGIES],
            help="Strategy to compare with uncached; may be repeated (default: all).",
        )
        parser.add_argument(
            "--simulate-latency",
            type=float,
            metavar="S",
            help="Seconds that the database pretends to take a request (default: as configured).",
        )
        parser.add_argument(
            "--format",
            choices=["table", *EXPORTS],
            default="table",
            help="Form of the results; svg is a picture of the table (default: %(default)s).",
        )
        parser.add_argument("--output", type=Path, metavar="FILE", help="File to write (default: stdout).")
        parser.add_argument(
            "--fail-under",
            type=float,
            metavar="RATIO",
            help="Exit with 3 unless every cache is so many times faster than none (default: no limit).",
        )

    def handle(
        self,
        *,
        requests: int,
        warmup: int,
        seed: int,
        path: str,
        strategies: list[str] | None,
        simulate_latency: float | None,
        format: str,
        output: Path | None,
        fail_under: float | None,
        verbosity: int,
        **options: Any,
    ) -> None:
        if fail_under is not None:
            require_at_least("--fail-under", fail_under, 0)
        with output_file(Path(output)) if output else nullcontext() as file:
            with self.progress("Measuring", warmup + requests, verbosity=verbosity) as advance:
                try:
                    run = run_benchmark(
                        path=path,
                        requests=requests,
                        warmup=warmup,
                        seed=seed,
                        strategies=strategies or (),
                        simulated_latency_seconds=simulate_latency,
                        on_progress=advance,
                    )
                except BenchmarkError as error:
                    raise CommandError(str(error)) from error
            text = EXPORTS[format](run) if format in EXPORTS else self._table(run, to_file=bool(file))
            if file:
                file.write(text)
            elif verbosity:
                self.stdout.write(text, ending="")
        self._require_ratio(run, fail_under)

    def _table(self, run: Run, *, to_file: bool) -> str:
        on_terminal = self.stdout.isatty() and not to_file
        columns = shutil.get_terminal_size().columns if on_terminal else None
        return render_text(run, columns=columns, colour=on_terminal and not self.style_is_plain())

    def _require_ratio(self, run: Run, fail_under: float | None) -> None:
        if fail_under is None:
            return
        for name, speedup in speedups(run).items():
            if speedup.ratio < fail_under:
                raise CommandError(
                    f"{name} is {speedup.ratio:.2f} times faster than uncached; "
                    f"--fail-under asks for {fail_under:g}.",
                    returncode=EXIT_MISSED,
                )
