"""What the project's commands share: help with examples, and failures told in one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis.exceptions
from django.conf import settings
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from django.db import DatabaseError, connections
from django.utils.connection import ConnectionDoesNotExist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from catalog.options import InvalidOption
from shop.embedded_redis import PrivateRedisError
from shop.environment import mask_password

EXIT_USAGE = 2


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
        try:
            return super().execute(*args, **options)
        except InvalidOption as error:
            raise CommandError(str(error), returncode=EXIT_USAGE) from error
        except ConnectionDoesNotExist as error:
            known = ", ".join(connections)
            raise CommandError(f"{error} Known databases: {known}.", returncode=EXIT_USAGE) from error
        except DatabaseError as error:
            raise CommandError(_explain_database_error(error, options.get("database"))) from error
        except redis.exceptions.RedisError as error:
            raise CommandError(_explain_redis_error(error)) from error

    def confirm(self, question: str, *, interactive: bool) -> None:
        """Return if the answer is yes or nobody is to be asked; otherwise raise ``CommandError``."""
        if not interactive:
            return
        if not sys.stdin.isatty():
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
            disable=verbosity == 0 or not sys.stderr.isatty(),
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


def _explain_database_error(error: DatabaseError, alias: str | None) -> str:
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    if "no such table" in reason or ("does not exist" in reason and "relation" in reason):
        return f"The database has no catalogue yet ({reason}). Make it with: python manage.py migrate"
    return f"The database at {_describe_database(alias or 'default')} failed: {reason}. Check DATABASE_URL."


def _describe_database(alias: str) -> str:
    configured = connections[alias].settings_dict
    host = f"{configured['HOST']}:{configured['PORT'] or 'default port'}/" if configured["HOST"] else ""
    return f"{host}{configured['NAME']}"


def _explain_redis_error(error: redis.exceptions.RedisError) -> str:
    cause: BaseException | None = error
    # django-redis raises a cause within its own handler, which makes the chain a circle.
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, PrivateRedisError):
            return str(cause)
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    url = mask_password(settings.REDIS_URL)
    if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return (
            f"Cannot reach Redis at {url}. Start it with: docker compose up -d redis, "
            "or unset REDIS_URL to use the private one."
        )
    return f"Redis at {url} refused: {error}."
