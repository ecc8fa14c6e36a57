"""docs/measurements.md is made of a stored run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from catalog.benchmarks.report.export import from_json
from catalog.benchmarks.report.measurements import render_measurements, write_measurements
from catalog.benchmarks.report.targets import marks
from catalog.benchmarks.seeding import SeedingComparison
from catalog.tests.benchmarks.report.example import example_run, freshness, latency, stampede

SEEDING = SeedingComparison(
    count=20_000,
    batch_size=2000,
    seeding_seconds=(2.0, 1.0, 1.6),
    bare_seconds=(1.0, 1.0, 1.0),
    bare_with_tags_seconds=(1.2, 1.2, 1.2),
)
SMALL = replace(example_run(), experiments=(freshness(), stampede()))


def test_every_picture_of_the_page_is_there_for_light_and_dark(tmp_path: Path) -> None:
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


def test_the_page_has_the_marks_the_tables_the_seeding_and_what_was_written_by_hand() -> None:
    text = render_measurements(example_run(), SEEDING)

    assert "| a hit, in floors | at most 1.25 | 1.24 | met | `readcache.hit.floors` |" in text
    assert "| a hit, faster than the textbook's | at least 2.3 times | **2.17 times** | **missed** |" in text
    assert "| textbook | 2,535 | 83.0 | **✗ 1,356** |" in text
    assert "| seed_products | 12,500 | 10,000 to 20,000 |" in text
    assert "## What no command gives" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_a_mark_without_a_figure_is_neither_met_nor_missed() -> None:
    found = {mark.what: mark for mark in marks(SMALL)}

    assert found["stale answers"].is_met is True
    assert found["a hit, in floors"].is_met is None
    assert "| a hit, in floors | at most 1.25 | not measured | |" in render_measurements(SMALL, SEEDING)


def test_a_fault_misses_its_mark() -> None:
    stale = replace(
        freshness(),
        figures=tuple(
            replace(figure, value=1.0) if figure.path == "readcache.freshness.stale" else figure
            for figure in freshness().figures
        ),
    )
    found = {mark.what: mark for mark in marks(replace(SMALL, experiments=(stale,)))}

    assert found["stale answers"].is_met is False
