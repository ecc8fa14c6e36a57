"""An output file always holds a complete text."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from catalog.benchmarks.report.destinations import output_file
from catalog.options import InvalidOption


def test_each_text_replaces_the_one_before_at_once(tmp_path: Path) -> None:
    with output_file(tmp_path / "results") as write:
        write("first")
        assert (tmp_path / "results").read_text() == "first"
        write("second")

    assert [each.name for each in tmp_path.iterdir()] == ["results"]
    assert (tmp_path / "results").read_text() == "second"


def test_a_failure_before_the_first_text_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("before")
    with pytest.raises(KeyboardInterrupt), output_file(tmp_path / "results"):
        raise KeyboardInterrupt

    assert [each.name for each in tmp_path.iterdir()] == ["results"]
    assert (tmp_path / "results").read_text() == "before"


def test_an_interrupt_right_after_the_draft_was_created_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_touch = Path.touch

    def touch_and_interrupt(self: Path) -> None:
        really_touch(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "touch", touch_and_interrupt)
    with pytest.raises(KeyboardInterrupt), output_file(tmp_path / "results"):
        pass

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["missing/results", "."])
def test_a_path_that_cannot_be_written_is_refused_before_the_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="--output must name a file"):
        output_file(tmp_path / name).__enter__()


@pytest.mark.parametrize("fails", [False, True])
def test_a_pipe_gets_only_the_last_text_also_after_a_failure(fails: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write_twice() -> None:
        with output_file(pipe) as write:
            write("first")
            write("second")
            if fails:
                raise KeyError

    with ThreadPoolExecutor(max_workers=1) as thread:
        received = thread.submit(pipe.read_text)
        with pytest.raises(KeyError) if fails else nullcontext():
            write_twice()
        assert received.result(timeout=10) == "second"
