import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.selection import EXPERIMENTS
from catalog.benchmarks.figures import names
from catalog.benchmarks.figures.comparison import compare_runs, differences
from catalog.benchmarks.figures.gates import Gate, missed_gates, parse_gate, require_strategies
from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.options import Effort, Options
from catalog.benchmarks.report.destinations import output_file, report_folder
from catalog.benchmarks.report.export import read_run, to_csv, to_json
from catalog.benchmarks.report.markdown import render_markdown
from catalog.benchmarks.report.text import render_text
from catalog.benchmarks.run import (
    estimate_run_seconds,
    require_measurable,
    run_benchmark,
    writing_experiments,
)
from catalog.benchmarks.sandbox.leftovers import remove_leftovers
from catalog.benchmarks.sandbox.run_lock import PREFIX
from catalog.benchmarks.strategies.registry import select_strategies
from catalog.management.base import CatalogCommand
from catalog.management.bench_options import add_measuring_options, add_output_options, require_unmeasured
from catalog.management.failures import describe_database, explain
from shop.environment import mask_password

EXIT_MISSED = 3
EXPORTS: dict[str, Callable[[Run], str]] = {"json": to_json, "csv": to_csv, "markdown": render_markdown}


class Command(CatalogCommand):
    help = "Measure ways of caching side by side:\n" + "\n".join(
        f"  {name:<13} {experiment.QUESTION}" for name, experiment in EXPERIMENTS.items()
    )
    arguments = "[EXPERIMENT ...] "
    examples = (
        "",
        "all --quick",
        "latency --path '/products/?search=lamp' --requests 500",
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
        if stored:
            require_unmeasured(options)
        with ExitStack() as stack:
            publish = self._publisher(stack, format, output, report, is_shown=verbosity > 0)
            if stored:
                run = read_run(Path(stored), option="--from")
            else:
                run = self._measure(gates=required, verbosity=verbosity, on_result=publish, **options)
            if older:
                run = replace(run, changes=tuple(compare_runs(older, run)))
                for line in differences(older, run) if verbosity else ():
                    self.stderr.write(f"Warning: {line}")
            if stored or older:
                publish(run)
        if self._failures:
            raise CommandError("\n".join(self._failures))
        if missed := missed_gates(required, run):
            raise CommandError("\n".join(f"Missed: {gate}" for gate in missed), returncode=EXIT_MISSED)

    def _publisher(
        self, stack: ExitStack, format: str, output: Path | None, report: Path | None, *, is_shown: bool
    ) -> Callable[[Run], None]:
        """A function that writes a run to the file and the folder, at once and as often as it is called.

        So a late failure loses no earlier result. Without a file, the last run is shown on stdout when
        the stack closes, also after a failure.
        """
        render = EXPORTS.get(format) or self._table_renderer(to_file=output is not None)
        write_report = stack.enter_context(report_folder(Path(report))) if report else None
        write_file = stack.enter_context(output_file(Path(output))) if output else None
        published: list[Run] = []

        def show() -> None:
            if published and is_shown and not write_file:
                self.stdout.write(self._encodable(render(published[-1])), ending="")

        def publish(run: Run) -> None:
            published.append(run)
            if write_file:
                write_file(render(run))
            if write_report:
                write_report(run)

        stack.callback(show)
        return publish

    def _measure(
        self,
        *,
        experiments: list[str],
        strategies: list[str] | None,
        effort: str | None,
        simulate_latency: float | None,
        yes_this_database: bool,
        gates: list[Gate],
        verbosity: int,
        on_result: Callable[[Run], None],
        **others: Any,
    ) -> Run:
        selected = select_strategies(strategies or ())
        given = {name: others[name] for name in ("path", "requests", "warmup", "seed")}
        options = Options(strategies=tuple(selected), effort=Effort(effort or "normal"), **given)
        scope: dict[str, Any] = {
            "experiments": experiments,
            "simulated_latency_seconds": simulate_latency,
            "may_write_anywhere": yes_this_database,
        }
        require_measurable(options, **scope)
        require_strategies(gates, [*(strategy.name for strategy in selected), *names.FLOORS])
        removed = remove_leftovers()
        if verbosity:
            for line in removed:
                self.stderr.write(line, style_func=str)
            self._announce(experiments)
        total = estimate_run_seconds(options, experiments)
        with self.progress("Measuring", total, verbosity=verbosity, counts=False) as advance:
            options = options.reporting_to(advance)
            try:
                return run_benchmark(options, on_result=on_result, on_failure=self._note_failure, **scope)
            except BenchmarkError as error:
                raise CommandError(str(error)) from error

    def _announce(self, experiments: list[str]) -> None:
        """Say what the experiments write, and where, before they do."""
        writing = writing_experiments(experiments)
        if writing:
            self.stderr.write(
                f"{', '.join(writing)}: writing scratch rows to {describe_database('default')} and "
                f"keys {PREFIX}.* to {mask_password(settings.REDIS_URL)}; both are removed at the end.",
                style_func=str,
            )

    def _note_failure(self, experiment: str, error: Exception) -> None:
        """Reported at the end, because other experiments go on."""
        self._failures.append(f"{experiment} failed and was left out: {explain(error) or error}")

    def _encodable(self, text: str) -> str:
        """The text with ? for every character that the encoding of the output lacks, such as µ."""
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        return text.encode(encoding, errors="replace").decode(encoding)

    def _table_renderer(self, *, to_file: bool) -> Callable[[Run], str]:
        on_terminal = self.stdout.isatty() and not to_file
        columns = shutil.get_terminal_size().columns if on_terminal else None
        colour = on_terminal and not self.style_is_plain()
        return lambda run: render_text(run, columns=columns, colour=colour)
