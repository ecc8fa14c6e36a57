"""A file that is written whole or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from catalog.options import InvalidOption


@contextmanager
def output_file(path: Path) -> Iterator[TextIO]:
    """What is written inside becomes ``path`` when the block ends well, and goes away when it does not.

    The file is opened at once, so that a path that cannot be written is known before the work and
    not after it. Raises ``InvalidOption``.
    """
    # A device or a pipe (/dev/stdout) is written to, not replaced.
    is_special = path.exists() and not path.is_file()
    draft = path if is_special else path.with_name(f".{path.name}.{os.getpid()}.draft")
    # The draft is made within the block that removes it: an interrupt may come at any moment.
    try:
        with _opened(draft, path) as file:
            text = io.StringIO()
            yield text
            _write(text.getvalue(), file, path)
        if not is_special:
            draft.replace(path)
    except BaseException:
        if not is_special:
            draft.unlink(missing_ok=True)
        raise


def _write(text: str, file: TextIO, path: Path) -> None:
    try:
        with file:
            file.write(text)
    except OSError as error:
        raise InvalidOption(
            f"--output must be a file that can be written, got {path}: {error.strerror}. Name another."
        ) from None


def _opened(draft: Path, path: Path) -> TextIO:
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        return draft.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise InvalidOption(
            f"--output must be a file that can be written, got {path}: {error.strerror}. "
            "Name a file in a folder that exists."
        ) from None
