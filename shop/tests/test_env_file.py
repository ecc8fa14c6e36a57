from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.exceptions import ImproperlyConfigured

from shop.env_file import read_env_file

Read = Callable[[str], dict[str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.fixture
def read(path: Path) -> Iterator[Read]:
    """Read a file with this text and return the variables that it sets."""

    def variables(text: str) -> dict[str, str]:
        path.write_text(text)
        before = dict(os.environ)
        read_env_file(path)
        return {name: value for name, value in os.environ.items() if before.get(name) != value}

    with patch.dict(os.environ):
        yield variables


def test_a_file_sets_variables(read: Read) -> None:
    text = """
# A comment
A_PLAIN=one two
export AN_EXPORTED=3

A_QUOTED="four\\"s"
AN_EMPTY=
A_URL='a=b#c'
"""

    assert read(text) == {
        "A_PLAIN": "one two",
        "AN_EXPORTED": "3",
        "A_QUOTED": 'four"s',
        "AN_EMPTY": "",
        "A_URL": "a=b#c",
    }


def test_blanks_around_a_line_do_not_count(read: Read) -> None:
    assert read("  \n\t# A comment\n  AN_INDENTED='x' \r\n") == {"AN_INDENTED": "x"}


def test_a_variable_of_the_environment_is_kept(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IS_SET", "by the environment")

    read("IS_SET=by the file\n")

    assert os.environ["IS_SET"] == "by the environment"


@pytest.mark.parametrize(
    "line", ["REDIS_URL = redis://:s3cret@h/1", "export  REDIS_URL =redis://:s3cret@h/1"]
)
def test_blanks_before_the_equals_sign_are_refused_with_the_lines_number(
    line: str, read: Read, path: Path
) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        read(f"# A comment\n\n{line}\nDEBUG=on\n")

    assert str(raised.value) == (
        f"{path}, line 3: REDIS_URL must be followed by = without blanks. Write it as REDIS_URL=value."
    )


@pytest.mark.parametrize(
    "line", ["s3cret", "SECRET_KEY: s3cret", "MY-KEY=s3cret", "=s3cret", "export s3cret"]
)
def test_a_line_that_assigns_nothing_is_refused_and_not_shown(line: str, read: Read, path: Path) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        read(f"{line}\n")

    assert str(raised.value) == (
        f"{path}, line 1 must have the form NAME=value. "
        "Begin the line with # to make it a comment, or remove it."
    )


def test_a_refused_file_sets_nothing(read: Read) -> None:
    with pytest.raises(ImproperlyConfigured):
        read("FIRST_OF_TWO=1\nSECOND = 2\n")

    assert "FIRST_OF_TWO" not in os.environ


def test_no_file_sets_nothing(path: Path) -> None:
    before = dict(os.environ)

    read_env_file(path)

    assert dict(os.environ) == before


def test_a_folder_of_that_name_is_no_file(path: Path) -> None:
    path.mkdir()

    read_env_file(path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_in_another_encoding_than_utf_8_is_refused(encoding: str, path: Path) -> None:
    path.write_text("SECRET_KEY=café\n", encoding=encoding)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_env_file(path)

    assert str(raised.value) == f"{path} must be text in UTF-8. Save it in that encoding."


def test_a_file_that_cannot_be_read_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> str:
        raise PermissionError(13, "Permission denied")

    # Not by the file's mode, which does not bind root.
    path.touch()
    monkeypatch.setattr(Path, "read_text", refuse)

    with pytest.raises(ImproperlyConfigured) as raised:
        read_env_file(path)

    assert str(raised.value) == (
        f"{path} cannot be read: Permission denied. Make it readable for you, or remove it."
    )
