"""What the project's commands share: help with examples, and failures told in one line."""

from __future__ import annotations

import argparse
import logging
import os
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


class ExampleHelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of the examples."""


class CatalogCommand(BaseCommand):
    """A command whose known failures are one line on stderr: what, by which rule, what to do."""

    examples: tuple[str, ...] = ()
    # What stands before the options in the usage line.
    arguments = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        lines = "\n".join(f"  python manage.py {subcommand} {example}".rstrip() for example in self.examples)
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=ExampleHelpFormatter,
            # The options are listed below it; a usage of ten lines would bury an error's message.
            usage=f"%(prog)s {self.arguments}[options]",
            epilog=f"examples:\n{lines}",
            **kwargs,
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        if os.environ.get("NO_COLOR") and not options.get("force_color"):
            options["no_color"] = True
        with (
            terminations_raised(),
            _invalidation_log_quiet(options["verbosity"]),
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
        """Return if the answer is yes or nobody is to be asked; otherwise raise ``CommandError``."""
        if not interactive:
            return
        if sys.stdin is None or not sys.stdin.isatty():
            raise CommandError(f"{question} Nobody is there to answer: say yes with --no-input.")
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
        """A progress bar on stderr, where that is a terminal; yields what advances it by a number.

        ``counts`` says whether the numbers are of things, and worth showing.
        """
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *([MofNCompleteColumn()] if counts else []),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr, no_color=self.style_is_plain() or None),
            transient=True,
            # What -v 2 logs would run into it.
            disable=verbosity != 1 or not sys.stderr.isatty(),
        )
        task = bar.add_task(label, total=total)

        def advance(count: float) -> None:
            bar.advance(task, count)
            if bar.finished:
                # What is logged after the last step must not run into the bar.
                bar.stop()

        with bar:
            yield advance

    def style_is_plain(self) -> bool:
        """Whether colours are off: ``--no-color``, ``NO_COLOR``, or no terminal."""
        return self.style.SUCCESS("x") == "x"


@contextmanager
def _pending_rotations_flushed() -> Iterator[None]:
    """What the command wrote while Redis was away is told to it at the end, or ``CommandError`` raised.

    The thread that would tell it later ends with the process.
    """
    try:
        yield
    finally:
        is_paid = current.store().breaker.flush_now()
    if not is_paid:
        raise CommandError(
            "Redis does not answer, and the read cache may show what was there before. "
            "When it is back: python manage.py flush_product_cache"
        )


@contextmanager
def _invalidation_log_quiet(verbosity: int) -> Iterator[None]:
    """The log of invalidations only at ``-v 2``: a command that writes in batches says once what it did."""
    level = signals.logger.level
    if verbosity < VERBOSE:
        signals.logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        signals.logger.setLevel(level)
