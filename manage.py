#!/usr/bin/env python
"""Django's command-line tool for the shop. Known failures are one line instead of a traceback."""

import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from shop.termination import Terminated

ROOT = Path(__file__).resolve().parent

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
    """Python sets a closed stream to ``None``, and Django writes to it all the same."""
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
        sys.exit(_missing_package("Django"))
    try:
        execute_from_command_line(sys.argv)
    except Terminated:
        raise
    except SystemExit:
        _flush()
        raise
    except ImproperlyConfigured as error:
        sys.exit(f"Configuration error: {error}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or (ROOT / package).exists() or "--traceback" in sys.argv:
            raise
        sys.exit(_missing_package(package))
    except Exception as error:
        from catalog.management.failures import explain

        message = explain(error)
        if message is None or "--traceback" in sys.argv:
            raise
        sys.exit(message)
    _flush()


def _missing_package(name: str) -> str:
    remedy = "Run make demo" if Path(sys.prefix) != ROOT / ".venv" else "Run make clean demo"
    return f"{name} is not installed for {sys.executable}. {remedy}, then use .venv/bin/python manage.py."


def _flush() -> None:
    """Flush here and not at exit, where a failure would be a traceback."""
    sys.stdout.flush()


def _output_error() -> OSError | None:
    """The error of writing to standard output, if there is one. Buffered output is then discarded."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def _is_of_output(error: OSError) -> bool:
    """Whether Django was writing. A large piece fails at once and leaves nothing to flush."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_name == "write" and frame.f_globals["__name__"] == "django.core.management.base"


def _leave(message: str, code: int) -> NoReturn:
    # A second Ctrl-C would interrupt the rest with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _output_error()
    # After a hangup there is no terminal for the message.
    with suppress(OSError):
        sys.stderr.write(f"{message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
