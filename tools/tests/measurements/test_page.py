"""docs/measurements.md is written from a stored run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.benchmarks.figures.results import Run
from catalog.benchmarks.report.charts import draw_charts
from catalog.benchmarks.report.export import from_json, to_json
from catalog.tests.benchmarks.report.example import example_run, freshness, latency, stampede
from tools.measurements.__main__ import main
from tools.measurements.page import render_measurements, write_measurements
from tools.measurements.seeding import SeedingComparison
from tools.measurements.seeding import to_json as seeding_to_json
from tools.measurements.targets import targets

SEEDING = SeedingComparison(
    count=20_000,
    batch_size=2000,
    seeding_seconds=(2.0, 1.0, 1.6),
    bare_seconds=(1.0, 1.0, 1.0),
    bare_with_tags_seconds=(1.2, 1.2, 1.2),
)
SMALL = replace(example_run(), experiments=(freshness(), stampede()))


def render(run: Run) -> str:
    return render_measurements(run, SEEDING, draw_charts(run))


def test_every_picture_of_the_page_is_written_for_light_and_dark(tmp_path: Path) -> None:
    written = write_measurements(SMALL, SEEDING, tmp_path)

    text = (tmp_path / "measurements.md").read_text()
    pictures = re.findall(r'(?:src|srcset)="([^"]*)"', text)
    assert len(pictures) == 2 * 3
    assert {tmp_path / name for name in pictures} <= set(written)
    assert all(path.is_file() for path in written)
    assert {"bench_cache.svg", "bench_cache-dark.svg"} < set(pictures)


def test_the_stored_figures_have_no_samples(tmp_path: Path) -> None:
    run = replace(example_run(), experiments=(stampede(), replace(latency(), figures=())))
    write_measurements(run, SEEDING, tmp_path)

    stored = from_json((tmp_path / "measurements.json").read_text())
    assert stored.experiments[0].figures == stampede().figures
    assert all(result.series == () for result in stored.experiments)


def test_the_page_has_targets_tables_strategies_seeding_and_the_figures_measured_by_hand() -> None:
    text = render(example_run())

    assert "| a hit, in floors | at most 1.25 | 1.24 | met | `readcache.hit.floors` |" in text
    assert "| a hit, faster than the textbook's | at least 2.3 times | **2.17 times** | **missed** |" in text
    assert "| textbook | 2,535 | 83.0 | **✗ 1,356** |" in text
    assert "| seed_products | 12,500 | 10,000 to 20,000 |" in text
    assert "## What no command measures" in text
    assert "- `uncached`: The plain views without any cache." in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_a_target_without_a_figure_is_neither_met_nor_missed() -> None:
    found = {target.what: target for target in targets(SMALL)}

    assert found["stale answers"].is_met is True
    assert found["a hit, in floors"].is_met is None
    assert "| a hit, in floors | at most 1.25 | not measured | |" in render(SMALL)


def test_a_fault_misses_its_target() -> None:
    stale = replace(
        freshness(),
        figures=tuple(
            replace(figure, value=1.0) if figure.path == "readcache.freshness.stale" else figure
            for figure in freshness().figures
        ),
    )
    found = {target.what: target for target in targets(replace(SMALL, experiments=(stale,)))}

    assert found["stale answers"].is_met is False


def test_the_tool_reads_both_files_and_names_the_files_that_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, seeding, docs = tmp_path / "run.json", tmp_path / "seeding.json", tmp_path / "docs"
    run.write_text(to_json(SMALL))
    seeding.write_text(seeding_to_json(SEEDING))

    assert main(["page", "--run", str(run), "--seeding", str(seeding), "--docs", str(docs)]) == 0
    assert str(docs / "pictures" / "freshness-dark.svg") in capsys.readouterr().out.splitlines()
    assert "Seeding is 0.62 times as fast" in (docs / "measurements.md").read_text()


@pytest.mark.parametrize("broken", ["run", "seeding"])
def test_a_file_that_cannot_be_read_is_one_line(
    broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"run": to_json(SMALL), "seeding": seeding_to_json(SEEDING), broken: "{}"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    arguments = ["--run", str(tmp_path / "run"), "--seeding", str(tmp_path / "seeding")]

    assert main(["page", *arguments, "--docs", str(tmp_path / "docs")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--{broken} must name results stored as JSON, got {tmp_path / broken}: ")
    assert not (tmp_path / "docs").exists()
