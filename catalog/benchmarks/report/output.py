"""A file whose content is always a whole text, also if the process is killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog.options import InvalidOption


@contextmanager
def output_file(path: Path) -> Iterator[Callable[[str], None]]:
    """Yields a function that replaces the content of the file by a text. It may be called again.

    A path that cannot be written is noticed at once, before any work. A device or a pipe, such as
    /dev/stdout, gets only the last text, at the end. Raises ``InvalidOption``.
    """
    if path.exists() and not path.is_file():
        yield from _written_at_the_end(path)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")

    def replace(text: str) -> None:
        _write(text, draft, path)
        draft.replace(path)

    # The draft is made within the block that removes it, because an interrupt can come at any moment.
    try:
        _write("", draft, path)
        yield replace
    finally:
        draft.unlink(missing_ok=True)


def _written_at_the_end(path: Path) -> Iterator[Callable[[str], None]]:
    texts = [""]
    # Also fails for a folder.
    with _refusing(path):
        file = path.open("w", encoding="utf-8", newline="")
    try:
        yield texts.append
    finally:
        with _refusing(path), file:
            file.write(texts[-1])


def _write(text: str, draft: Path, path: Path) -> None:
    with _refusing(path), draft.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidOption(
            f"--output must name a file that can be written, got {path}: {error.strerror}. "
            "Name another file, in a folder that exists."
        ) from None
