"""The base class of the project's commands: help with examples, failures in one line, progress bars."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from django.db import Error as DatabaseFailure
from django.db import connections
from django.utils.connection import ConnectionDoesNotExist
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from catalog import signals
from catalog.management.failures import explain
from catalog.options import InvalidOption
from readcache.storage import current
from readcache.testing import PrivateRedisError
from shop.termination import terminations_raised

EXIT_USAGE = 2
VERBOSE = 2
HELP_COLUMNS = 80


class ExampleHelpFormatter(DjangoHelpFormatter):
    """Wraps the prose of a help text and keeps its indented lines, such as examples, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrap = super()._fill_text
        return "\n".join(
            line if line.startswith(" ") else wrap(line, width, indent) for line in text.splitlines()
        )


class CatalogCommand(BaseCommand):
    """A command that reports each known failure in one line on stderr, with a remedy."""

    examples: tuple[str, ...] = ()
    # The positional arguments in the usage line.
    arguments = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        examples = [_wrapped_example(f"python manage.py {subcommand} {each}") for each in self.examples]
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=ExampleHelpFormatter,
            # One line instead of all options, because argparse prints the usage above each error.
            usage=f"%(prog)s {self.arguments}[options]",
            epilog="\n".join(["examples:", *examples]),
            **kwargs,
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        if os.environ.get("NO_COLOR") and not options.get("force_color"):
            options["no_color"] = True
        with (
            terminations_raised(),
            _invalidations_logged(options["verbosity"]),
            _pending_rotations_flushed(),
        ):
            try:
                return super().execute(*args, **options)
            except InvalidOption as error:
                raise CommandError(str(error), returncode=EXIT_USAGE) from error
            except ConnectionDoesNotExist as error:
                known = ", ".join(connections)
                raise CommandError(f"{error} Known databases: {known}.", returncode=EXIT_USAGE) from error
            except (DatabaseFailure, RedisError, PrivateRedisError) as error:
                raise CommandError(explain(error, database=options.get("database"))) from error

    def confirm(self, question: str, *, interactive: bool) -> None:
        """Return if the user agrees or ``interactive`` is false; otherwise raise ``CommandError``."""
        if not interactive:
            return
        if sys.stdin is None or not sys.stdin.isatty():
            raise CommandError(f"{question} There is no terminal to ask on. Add --no-input to agree.")
        try:
            answer = input(f"{question} [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")

    @contextmanager
    def progress(
        self, label: str, total: float, *, verbosity: int, counts: bool = True
    ) -> Iterator[Callable[[float], None]]:
        """A progress bar on stderr if that is a terminal; yields a function that advances it.

        ``counts`` shows the numbers, for progress that is counted in items.
        """
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *([MofNCompleteColumn()] if counts else []),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr, no_color=self.style_is_plain() or None),
            transient=True,
            # The log lines of -v 2 would garble the bar.
            disable=verbosity != 1 or not sys.stderr.isatty(),
        )
        task = bar.add_task(label, total=total)

        def advance(count: float) -> None:
            bar.advance(task, count)
            if bar.finished:
                # Log lines that follow the last step would garble a bar that is still drawn.
                bar.stop()

        with bar:
            yield advance

    def style_is_plain(self) -> bool:
        """Whether colours are off: by ``--no-color``, by ``NO_COLOR``, or because there is no terminal."""
        return self.style.SUCCESS("x") == "x"


@contextmanager
def _pending_rotations_flushed() -> Iterator[None]:
    """Flush the rotations that are pending at the end of the command, or raise ``CommandError``.

    The thread that would flush them later ends with the process.
    """
    try:
        yield
    finally:
        is_flushed = current.store().breaker.flush_now()
    if not is_flushed:
        raise CommandError(
            "Redis does not answer, so the read cache may serve old answers. "
            "When Redis answers again, run: python manage.py flush_product_cache"
        )


@contextmanager
def _invalidations_logged(verbosity: int) -> Iterator[None]:
    """Log each invalidation at ``-v 2`` only: a command that writes in batches reports them once."""
    level = signals.logger.level
    signals.logger.setLevel(logging.DEBUG if verbosity >= VERBOSE else logging.WARNING)
    try:
        yield
    finally:
        signals.logger.setLevel(level)


def _wrapped_example(command: str) -> str:
    """An indented line of help, continued with backslashes before the options that do not fit."""
    first, *options = re.split(" (?=--)", command.rstrip())
    lines = [f"  {first}"]
    for option in options:
        if len(f"{lines[-1]} {option} \\") <= HELP_COLUMNS:
            lines[-1] += f" {option}"
        else:
            lines[-1] += " \\"
            lines.append(f"      {option}")
    return "\n".join(lines)
