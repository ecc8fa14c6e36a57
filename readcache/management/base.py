"""The base of the app's commands: examples in the help, and failures of Redis in one line."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from redis.exceptions import RedisError

from readcache.conf import configuration
from readcache.storage.breaker import Outage
from readcache.storage.current import store

EXIT_USAGE = 2


class ExampleHelpFormatter(DjangoHelpFormatter):
    """Wraps the prose of a help text and keeps its indented lines, the examples, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrap = super()._fill_text
        return "\n".join(
            line if line.startswith(" ") else wrap(line, width, indent) for line in text.splitlines()
        )


class ReadCacheCommand(BaseCommand):
    """A command whose failures are one line each. A closed pipe, as of ``| head``, ends it quietly."""

    examples: tuple[str, ...] = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        lines = [f"  python manage.py {subcommand} {example}".rstrip() for example in self.examples]
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=ExampleHelpFormatter,
            epilog="\n".join(["examples:", *lines]),
            **kwargs,
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        if os.environ.get("NO_COLOR") and not options.get("force_color"):
            options["no_color"] = True
        try:
            output = super().execute(*args, **options)
            self.stdout.flush()
        except BrokenPipeError:
            _discard_output()
            return None
        except Outage as outage:
            raise CommandError(_unreachable(outage.__cause__ or outage)) from outage
        except RedisError as error:
            raise CommandError(_unreachable(error)) from error
        return output


def _unreachable(error: BaseException) -> str:
    alias = configuration().alias
    reason = str(error).strip().rstrip(".") or type(error).__name__
    return (
        f"The read cache's Redis at {_address()} failed: {reason}. "
        f"Start it, or correct CACHES[{alias!r}] in the settings."
    )


def _address() -> str:
    """Where the server is, without a user or password."""
    kwargs = store().client.connection_pool.connection_kwargs
    if path := kwargs.get("path"):
        return str(path)
    return f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}"


def _discard_output() -> None:
    """Python would write the rest when it exits, and fail again."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - the null device is not a path of anybody's
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
