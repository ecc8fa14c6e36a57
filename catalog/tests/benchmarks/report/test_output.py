"""A file is written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog.benchmarks.report.output import output_file
from catalog.options import InvalidOption


def test_a_block_that_ends_well_leaves_its_file(tmp_path: Path) -> None:
    with output_file(tmp_path / "results") as file:
        file.write("whole")

    assert [each.name for each in tmp_path.iterdir()] == ["results"]
    assert (tmp_path / "results").read_text() == "whole"


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    def write_half() -> None:
        with output_file(tmp_path / "results") as file:
            file.write("half")
            raise KeyboardInterrupt

    (tmp_path / "results").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_half()

    assert [each.name for each in tmp_path.iterdir()] == ["results"]
    assert (tmp_path / "results").read_text() == "before"


def test_an_interrupt_right_after_the_draft_was_made_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = Path.open

    def open_and_interrupt(self: Path, *args: Any, **kwargs: Any) -> None:
        really_open(self, *args, **kwargs).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "open", open_and_interrupt)
    with pytest.raises(KeyboardInterrupt), output_file(tmp_path / "results"):
        pass

    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidOption, match="--output must be a file"),
        output_file(tmp_path / "no" / "results"),
    ):
        pass
