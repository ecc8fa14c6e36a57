#!/usr/bin/env python
"""Django's command-line tool for the shop, with one clear line where a beginner would meet a traceback."""

import os
import sys

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_CLOSED_PIPE = 141  # 128 + SIGPIPE


def main() -> None:
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
        try:
            execute_from_command_line(sys.argv)
        finally:
            # Here, where a closed pipe can be told from a failure; at exit it would be a traceback.
            sys.stdout.flush()
    except ImproperlyConfigured as error:
        sys.exit(f"Configuration error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Python flushes stdout once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_CLOSED_PIPE)


if __name__ == "__main__":
    main()
