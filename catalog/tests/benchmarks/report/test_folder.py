"""A report's folder is written whole or not at all, and never over somebody's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from catalog.benchmarks.report import report_folder, write_report
from catalog.benchmarks.report.folder import SIGNATURE
from catalog.options import InvalidOption
from catalog.tests.benchmarks.report.example import example_run, stampede

SMALL = replace(example_run(), experiments=(stampede(),))


def test_the_page_lies_beside_its_charts_for_light_and_dark(tmp_path: Path) -> None:
    with report_folder(tmp_path / "report") as folder:
        write_report(SMALL, folder)

    assert sorted(each.name for each in (tmp_path / "report").iterdir()) == [
        "index.html",
        "stampede-dark.png",
        "stampede-dark.svg",
        "stampede.png",
        "stampede.svg",
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report" / "stampede.png").read_bytes().startswith(b"\x89PNG")


def make_report(path: Path) -> None:
    path.mkdir()
    (path / "index.html").write_text(f"<head>{SIGNATURE}old")
    (path / "gone.svg").touch()


def test_an_earlier_report_is_replaced_as_a_whole(tmp_path: Path) -> None:
    make_report(tmp_path / "report")
    with report_folder(tmp_path / "report") as folder:
        (folder / "index.html").write_text("new")

    assert [each.name for each in tmp_path.rglob("*")] == ["report", "index.html"]
    assert (tmp_path / "report" / "index.html").read_text() == "new"


def test_an_interrupt_leaves_the_earlier_report_and_no_draft(tmp_path: Path) -> None:
    def write_half() -> None:
        with report_folder(tmp_path / "report") as folder:
            (folder / "index.html").write_text("half")
            raise KeyboardInterrupt

    make_report(tmp_path / "report")
    with pytest.raises(KeyboardInterrupt):
        write_half()

    assert "old" in (tmp_path / "report" / "index.html").read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("kind", ["other files", "a page of another make", "a report and a file", "a file"])
def test_what_is_no_report_is_left_alone(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "report"
    if kind == "a file":
        target.write_text("mine")
    elif kind == "a report and a file":
        make_report(target)
        (target / "notes.txt").write_text("mine")
    else:
        target.mkdir()
        (target / ("index.html" if kind == "a page of another make" else "thesis.tex")).write_text("mine")
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}

    with pytest.raises(InvalidOption, match="--report must name a folder that is new, empty or"):
        report_folder(target).__enter__()
    assert {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()} == before


def test_files_that_came_while_it_measured_are_left_alone(tmp_path: Path) -> None:
    def write_meanwhile() -> None:
        with report_folder(tmp_path / "report"):
            (tmp_path / "report").mkdir()
            (tmp_path / "report" / "thesis.tex").touch()

    with pytest.raises(InvalidOption):
        write_meanwhile()
    assert (tmp_path / "report" / "thesis.tex").exists()


def test_a_place_that_cannot_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="--report must be a folder that can be written, got"):
        report_folder(tmp_path / "missing" / "report").__enter__()
