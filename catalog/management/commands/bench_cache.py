import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalog.benchmarks.client import BenchmarkError
from catalog.benchmarks.experiments import ALL, DEFAULT_EXPERIMENTS, EXPERIMENTS
from catalog.benchmarks.export import to_csv, to_json
from catalog.benchmarks.output import output_file
from catalog.benchmarks.plan import Effort, Plan
from catalog.benchmarks.report import (
    render_markdown,
    render_svg,
    render_text,
    report_folder,
    write_report,
)
from catalog.benchmarks.results import Run
from catalog.benchmarks.run import estimate_seconds, run_benchmark
from catalog.benchmarks.stored import read_run
from catalog.benchmarks.strategies import STRATEGIES, select_strategies
from catalog.management.base import CatalogCommand
from catalog.options import InvalidOption

EXPORTS: dict[str, Callable[[Run], str]] = {
    "json": to_json,
    "csv": to_csv,
    "markdown": render_markdown,
    "svg": render_svg,
}
# What says how to measure, by the name of the option: nothing that goes with --from.
MEASURING = {
    "experiments": "EXPERIMENT",
    "strategies": "--strategy",
    "effort": "--quick or --thorough",
    "path": "--path",
    "requests": "--requests",
    "warmup": "--warmup",
    "seed": "--seed",
    "simulate_latency": "--simulate-latency",
    "yes_this_database": "--yes-this-database",
}
DEFAULT_PATH = "/products/"


class Command(CatalogCommand):
    help = "Measure ways of caching side by side: " + " ".join(
        f"{name} ({experiment.QUESTION})" for name, experiment in EXPERIMENTS.items()
    )
    arguments = "[EXPERIMENT ...] "
    examples = (
        "",
        "all --quick",
        "latency --path '/products/?search=lamp&ordering=price' --requests 500",
        "freshness --strategy readcache --format json --output bench.json",
        "all --report bench/",
        "--from bench.json --format markdown",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "experiments",
            nargs="*",
            metavar="EXPERIMENT",
            help=f"{', '.join((*EXPERIMENTS, ALL))} (default: {' '.join(DEFAULT_EXPERIMENTS)}).",
        )
        add(
            "--strategy",
            action="append",
            dest="strategies",
            metavar="STRATEGY",
            help=f"{', '.join(STRATEGIES)}, or MODULE:CLASS of your own, see docs/strategies.md; may be "
            "repeated; uncached is always there (default: all but those of your own).",
        )
        effort = parser.add_mutually_exclusive_group()
        for each in (Effort.QUICK, Effort.THOROUGH):
            effort.add_argument(
                f"--{each.value}",
                action="store_const",
                const=each.value,
                dest="effort",
                help=f"Measure a {'shorter' if each is Effort.QUICK else 'longer'} time (default: between).",
            )
        add("--path", default=DEFAULT_PATH, help="Page to ask for, with its query (default: %(default)s).")
        add("--requests", type=int, help="Repeat requests of each strategy (default: by effort).")
        add("--warmup", type=int, help="Requests before those that count (default: 20).")
        add("--seed", type=int, default=0, help="Seed of all that is drawn by chance (default: %(default)s).")
        add(
            "--simulate-latency",
            type=float,
            metavar="S",
            help="Seconds that the database pretends to take a request (default: as configured).",
        )
        add(
            "--yes-this-database",
            action="store_true",
            help="Write to a database on another machine, too (default: refuse).",
        )
        add(
            "--format",
            choices=["table", *EXPORTS],
            default="table",
            help="Form of the results; svg is a picture of the tables (default: %(default)s).",
        )
        add("--output", type=Path, metavar="FILE", help="File to write (default: stdout).")
        add(
            "--report",
            type=Path,
            metavar="DIR",
            help="Folder for a web page, index.html, and its charts as SVG and PNG (default: none).",
        )
        add(
            "--from",
            type=Path,
            metavar="FILE",
            dest="stored",
            help="Measure nothing, show a run that was stored with --format json (default: measure).",
        )

    def handle(
        self,
        *,
        format: str,
        output: Path | None,
        report: Path | None,
        stored: Path | None,
        verbosity: int,
        **options: Any,
    ) -> None:
        with (
            output_file(Path(output)) if output else nullcontext() as file,
            report_folder(Path(report)) if report else nullcontext() as folder,
        ):
            run = self._stored(stored, options) if stored else self._run(verbosity=verbosity, **options)
            if folder:
                write_report(run, folder)
            text = EXPORTS[format](run) if format in EXPORTS else self._table(run, to_file=bool(file))
            if file:
                file.write(text)
            elif verbosity:
                self.stdout.write(text, ending="")

    def _stored(self, path: Path, options: dict[str, Any]) -> Run:
        unset: tuple[Any, ...] = (None, False, [], 0, DEFAULT_PATH)
        given = [name for key, name in MEASURING.items() if options.get(key) not in unset]
        if given:
            raise InvalidOption(f"--from measures nothing; leave out {', '.join(given)}, or --from itself.")
        return read_run(Path(path), option="--from")

    def _run(
        self,
        *,
        experiments: list[str],
        strategies: list[str] | None,
        effort: str | None,
        simulate_latency: float | None,
        yes_this_database: bool,
        verbosity: int,
        **options: Any,
    ) -> Run:
        given = {name: options[name] for name in ("path", "requests", "warmup", "seed")}
        chosen = select_strategies(strategies or ())
        plan = Plan(strategies=tuple(chosen), effort=Effort(effort or "normal"), **given)
        total = estimate_seconds(plan, experiments)
        with self.progress("Measuring", total, verbosity=verbosity, counts=False) as advance:
            try:
                return run_benchmark(
                    plan.reporting_to(advance),
                    experiments=experiments,
                    simulated_latency_seconds=simulate_latency,
                    may_write_anywhere=yes_this_database,
                )
            except BenchmarkError as error:
                raise CommandError(str(error)) from error

    def _table(self, run: Run, *, to_file: bool) -> str:
        on_terminal = self.stdout.isatty() and not to_file
        columns = shutil.get_terminal_size().columns if on_terminal else None
        return render_text(run, columns=columns, colour=on_terminal and not self.style_is_plain())
