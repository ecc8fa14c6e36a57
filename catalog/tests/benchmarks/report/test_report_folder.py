"""The folder of a report is replaced completely, and folders with other files are left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from catalog.benchmarks.report.destinations import SIGNATURE, report_folder
from catalog.benchmarks.report.export import from_json
from catalog.options import InvalidOption
from catalog.tests.benchmarks.report.example import example_run, freshness, stampede

SMALL = replace(example_run(), experiments=(stampede(),))


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_the_folder_has_the_page_its_charts_for_light_and_dark_and_the_run(tmp_path: Path) -> None:
    with report_folder(tmp_path / "report") as write:
        write(SMALL)

    assert names_in(tmp_path / "report") == ["index.html", "run.json", "stampede-dark.svg", "stampede.svg"]
    assert names_in(tmp_path) == ["report"]
    assert from_json((tmp_path / "report" / "run.json").read_text()) == SMALL


def test_a_report_is_in_its_place_before_the_block_ends_and_can_be_replaced(tmp_path: Path) -> None:
    report = tmp_path / "report"
    with report_folder(report) as write:
        write(SMALL)
        assert (report / "stampede.svg").exists()
        write(replace(SMALL, experiments=(stampede(), freshness())))
        assert "How often is an answer stale?" in (report / "index.html").read_text()

    assert {"stampede.svg", "freshness.svg", "overview.svg"} < set(names_in(report))
    assert names_in(tmp_path) == ["report"]


def make_report(path: Path) -> None:
    path.mkdir()
    (path / "index.html").write_text(f"<head>{SIGNATURE}old")
    (path / "gone.svg").touch()


def test_an_earlier_report_is_replaced_completely(tmp_path: Path) -> None:
    make_report(tmp_path / "report")
    with report_folder(tmp_path / "report") as write:
        write(SMALL)

    assert names_in(tmp_path / "report") == ["index.html", "run.json", "stampede-dark.svg", "stampede.svg"]


def test_an_interrupt_before_the_first_report_leaves_the_earlier_one_and_no_draft(tmp_path: Path) -> None:
    make_report(tmp_path / "report")
    with pytest.raises(KeyboardInterrupt), report_folder(tmp_path / "report"):
        raise KeyboardInterrupt

    assert "old" in (tmp_path / "report" / "index.html").read_text()
    assert names_in(tmp_path) == ["report"]


@pytest.mark.parametrize("kind", ["other files", "another page", "a report and a file", "a file"])
def test_anything_but_a_report_is_left_alone(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "report"
    if kind == "a file":
        target.write_text("mine")
    elif kind == "a report and a file":
        make_report(target)
        (target / "notes.txt").write_text("mine")
    else:
        target.mkdir()
        (target / ("index.html" if kind == "another page" else "thesis.tex")).write_text("mine")
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}

    with pytest.raises(InvalidOption, match="--report must name a folder that is new, empty or"):
        report_folder(target).__enter__()
    assert {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()} == before


def test_files_that_appear_during_the_measurement_are_left_alone(tmp_path: Path) -> None:
    with report_folder(tmp_path / "report") as write:
        (tmp_path / "report").mkdir()
        (tmp_path / "report" / "thesis.tex").touch()
        with pytest.raises(InvalidOption, match="which holds something else"):
            write(SMALL)

    assert names_in(tmp_path / "report") == ["thesis.tex"]
    assert names_in(tmp_path) == ["report"]


def test_a_place_that_cannot_be_written_is_noticed_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="--report must name a folder that can be written, got"):
        report_folder(tmp_path / "missing" / "report").__enter__()
