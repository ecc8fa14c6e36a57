import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.selection import EXPERIMENTS
from catalog.benchmarks.figures.comparison import compare_runs, differences
from catalog.benchmarks.figures.gates import Gate, missed_gates, parse_gate, require_strategies
from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.options import Effort, Options
from catalog.benchmarks.report import (
    render_markdown,
    render_svg,
    render_text,
    report_folder,
    write_report,
)
from catalog.benchmarks.report.export import to_csv, to_json
from catalog.benchmarks.report.output import output_file
from catalog.benchmarks.report.stored import read_run
from catalog.benchmarks.run import estimate_seconds, require_measurable, run_benchmark, writing_experiments
from catalog.benchmarks.sandbox.leftovers import remove_leftovers
from catalog.benchmarks.sandbox.run_lock import PREFIX
from catalog.benchmarks.strategies.registry import FLOOR_NAMES, select_strategies
from catalog.management.base import CatalogCommand
from catalog.management.bench_options import (
    DEFAULT_PATH,
    MEASURING,
    add_measuring_options,
    add_output_options,
)
from catalog.management.failures import describe_database, explain
from catalog.options import InvalidOption
from shop.environment import mask_password

EXIT_MISSED = 3
EXPORTS: dict[str, Callable[[Run], str]] = {
    "json": to_json,
    "csv": to_csv,
    "markdown": render_markdown,
    "svg": render_svg,
}


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
        "--compare bench.json --fail-under 'readcache.hit.p50 < 1.3 * floor-get'",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_measuring_options(parser)
        add_output_options(parser, exports=[*EXPORTS])

    def handle(
        self,
        *,
        format: str,
        output: Path | None,
        report: Path | None,
        stored: Path | None,
        compare: Path | None,
        gates: list[str] | None,
        verbosity: int,
        **options: Any,
    ) -> None:
        required = [parse_gate(text) for text in gates or ()]
        self._failures: list[str] = []
        older = read_run(Path(compare), option="--compare") if compare else None
        with (
            output_file(Path(output)) if output else nullcontext() as file,
            report_folder(Path(report)) if report else nullcontext() as folder,
        ):
            if stored:
                run = self._stored(stored, options)
            else:
                run = self._run(verbosity=verbosity, gates=required, **options)
            if older:
                run = replace(run, changes=tuple(compare_runs(older, run)))
                for line in differences(older, run):
                    self.stderr.write(f"Warning: {line}")
            text = EXPORTS[format](run) if format in EXPORTS else self._table(run, to_file=bool(file))
            if file:
                file.write(text)
            elif verbosity:
                self.stdout.write(self._encodable(text), ending="")
            # Last: what was measured is not lost where there is no room for its pictures.
            if folder:
                write_report(run, folder)
        if self._failures:
            raise CommandError("\n".join(self._failures))
        if missed := missed_gates(required, run):
            raise CommandError("\n".join(f"Missed: {gate}" for gate in missed), returncode=EXIT_MISSED)

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
        gates: list[Gate],
        verbosity: int,
        **options: Any,
    ) -> Run:
        given = {name: options[name] for name in ("path", "requests", "warmup", "seed")}
        chosen = select_strategies(strategies or ())
        asked = Options(strategies=tuple(chosen), effort=Effort(effort or "normal"), **given)
        scope: dict[str, Any] = {
            "experiments": experiments,
            "simulated_latency_seconds": simulate_latency,
            "may_write_anywhere": yes_this_database,
        }
        require_measurable(asked, **scope)
        require_strategies(gates, [*(strategy.name for strategy in chosen), *FLOOR_NAMES])
        removed = remove_leftovers()
        if verbosity:
            for line in removed:
                self.stderr.write(line, style_func=str)
            self._announce(experiments)
        total = estimate_seconds(asked, experiments)
        with self.progress("Measuring", total, verbosity=verbosity, counts=False) as advance:
            try:
                return run_benchmark(asked.reporting_to(advance), on_failure=self._note_failure, **scope)
            except BenchmarkError as error:
                raise CommandError(str(error)) from error

    def _announce(self, experiments: list[str]) -> None:
        """Say what is written, and where, before it is."""
        writing = writing_experiments(experiments)
        if writing:
            self.stderr.write(
                f"{', '.join(writing)}: writing rows of their own to {describe_database('default')} and "
                f"keys {PREFIX}.* to {mask_password(settings.REDIS_URL)}; both are removed at the end.",
                style_func=str,
            )

    def _note_failure(self, experiment: str, error: Exception) -> None:
        """Told at the end: what others have measured by then is not lost."""
        self._failures.append(f"{experiment} failed, and was left out: {explain(error) or error}")

    def _encodable(self, text: str) -> str:
        """With ? for what the output has no letter for: units and signs are not in every encoding."""
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        return text.encode(encoding, errors="replace").decode(encoding)

    def _table(self, run: Run, *, to_file: bool) -> str:
        on_terminal = self.stdout.isatty() and not to_file
        columns = shutil.get_terminal_size().columns if on_terminal else None
        return render_text(run, columns=columns, colour=on_terminal and not self.style_is_plain())
