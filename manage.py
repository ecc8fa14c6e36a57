#!/usr/bin/env python
"""Django's command-line tool for the shop, with one clear line where a beginner would meet a traceback."""

import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from shop.termination import Terminated

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_CLOSED_PIPE = 141  # 128 + SIGPIPE


def main() -> None:
    try:
        _require_streams()
        _execute()
    except KeyboardInterrupt:
        _leave("Interrupted.", EXIT_INTERRUPTED)
    except Terminated as ended:
        _leave("Terminated.", ended.code)
    except OSError as error:
        output_error = _output_error() or (error if _is_of_output(error) else None)
        if isinstance(error, BrokenPipeError):
            sys.exit(EXIT_CLOSED_PIPE)
        if output_error is None:
            raise
        sys.exit(f"Cannot write the output: {output_error.strerror}. Send it elsewhere.")


def _require_streams() -> None:
    """Python has ``None`` for a stream that was closed, and Django writes to it."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - open as long as the process
    if sys.stdout is None:
        sys.exit("Standard output is closed. To do without it, send it to /dev/null.")


def _execute() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            f"Django is not installed for {sys.executable}. "
            "Run make demo, then use .venv/bin/python manage.py."
        )
    try:
        execute_from_command_line(sys.argv)
    except Terminated:
        raise
    except SystemExit:
        _flush()
        raise
    except ImproperlyConfigured as error:
        sys.exit(f"Configuration error: {error}")
    except Exception as error:
        from catalog.management.failures import explain

        message = explain(error)
        if message is None or "--traceback" in sys.argv:
            raise
        sys.exit(message)
    _flush()


def _flush() -> None:
    """Here, where an output that fails can be told from a failure; at exit it would be a traceback."""
    sys.stdout.flush()


def _output_error() -> OSError | None:
    """Why standard output cannot be written, if so. What Python has yet to write then goes nowhere."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def _is_of_output(error: OSError) -> bool:
    """Whether Django was writing: Python keeps no large piece for the next flush to fail with."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_name == "write" and frame.f_globals["__name__"] == "django.core.management.base"


def _leave(message: str, code: int) -> NoReturn:
    # A second Ctrl-C would make a traceback of what is left to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _output_error()
    # After a hangup there is no terminal to write to.
    with suppress(OSError):
        sys.stderr.write(f"{message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
