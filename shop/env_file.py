"""The file ``.env``: variables for those that the environment does not set."""

from __future__ import annotations

import io
import re
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

ASSIGNMENT = re.compile(r"(export )?[A-Za-z_0-9]+=")
BLANKS_BEFORE_EQUALS = re.compile(r"(?:export\s+)?([A-Za-z_0-9]+)\s+=")


def read_env_file(path: Path) -> None:
    """Set the variables of the file that the environment does not set. The file need not exist.

    Raises ``ImproperlyConfigured`` for a file that cannot be read, and for a line that assigns nothing:
    django-environ would log the line, with the password in it, and go on without its variable.
    """
    if not path.is_file():
        return
    lines = [line.strip() for line in _read(path).splitlines()]
    for number, line in enumerate(lines, start=1):
        _check(line, f"{path}, line {number}")
    environ.Env.read_env(io.StringIO("\n".join(lines)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeError:
        raise ImproperlyConfigured(f"{path} must be text in UTF-8. Save it in that encoding.") from None
    except OSError as error:
        raise ImproperlyConfigured(
            f"{path} cannot be read: {error.strerror}. Make it readable for you, or remove it."
        ) from None


def _check(line: str, place: str) -> None:
    """Raise ``ImproperlyConfigured`` unless the line is empty, a comment or an assignment.

    The message shows the variable's name only, because the rest may be a password.
    """
    if not line or line.startswith("#") or ASSIGNMENT.match(line):
        return
    if blanks := BLANKS_BEFORE_EQUALS.match(line):
        name = blanks[1]
        raise ImproperlyConfigured(
            f"{place}: {name} must be followed by = without blanks. Write it as {name}=value."
        )
    raise ImproperlyConfigured(
        f"{place} must have the form NAME=value. Begin the line with # to make it a comment, or remove it."
    )
