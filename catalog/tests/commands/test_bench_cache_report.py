"""bench_cache --from and --report: showing a run that was measured before."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.benchmarks.report import render_markdown, render_text
from catalog.benchmarks.report.export import to_json
from catalog.tests.benchmarks.report.example import example_run, freshness
from conftest import Manage

RUN = replace(example_run(), experiments=(freshness(),))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    path.write_text(to_json(RUN))
    return path


def show(**options: Any) -> str:
    output = StringIO()
    call_command("bench_cache", stdout=output, stderr=StringIO(), **options)
    return output.getvalue()


def test_a_stored_run_is_shown_in_every_form_without_measuring(stored: Path) -> None:
    # Without a database: this test may not ask one.
    assert show(stored=stored) == render_text(RUN, columns=None, colour=False)
    assert show(stored=stored, format="markdown") == render_markdown(RUN)
    assert json.loads(show(stored=stored, format="json")) == json.loads(stored.read_text())


def test_a_stored_run_becomes_a_report(stored: Path, tmp_path: Path) -> None:
    show(stored=stored, report=tmp_path / "report")

    assert "How often is an answer stale?" in (tmp_path / "report" / "index.html").read_text()
    assert (tmp_path / "report" / "freshness.png").exists()


def test_a_folder_of_somebody_else_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()

    # Without a database: measuring would fail in another way.
    with pytest.raises(CommandError, match="--report must name a folder that is new") as raised:
        show(report=tmp_path)
    assert raised.value.returncode == 2


def test_options_that_say_how_to_measure_do_not_go_with_a_stored_run(stored: Path, manage: Manage) -> None:
    done = manage("bench_cache", "latency", "--from", str(stored), "--quick", "--seed", "3")

    assert done.returncode == 2
    assert done.stderr == (
        "CommandError: --from measures nothing; leave out EXPERIMENT, --quick or --thorough, --seed, "
        "or --from itself.\n"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("{", "Expecting property name"),
        ("[]", "it is not a run of schema version 2"),
        ('{"schema_version": 1}', "it is not a run of schema version 2"),
        ('{"schema_version": 2}', "it is not a whole run"),
        ("\0\xff", "Expecting value"),
    ],
)
def test_what_is_no_stored_run_is_one_error(content: str | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(CommandError, match="--from must be what bench_cache stored as JSON") as raised:
        show(stored=path)
    assert raised.value.returncode == 2
    assert reason in str(raised.value)


def test_measurements_are_published_from_stored_runs(stored: Path, tmp_path: Path) -> None:
    seeding = tmp_path / "seeding.json"
    turns = {f"{name}_seconds": [1.0] for name in ("seeding", "bare", "bare_with_tags")}
    seeding.write_text(json.dumps({"count": 10, "batch_size": 5, **turns}))
    output = StringIO()
    call_command("publish_measurements", run=stored, seeding=seeding, docs=tmp_path / "docs", stdout=output)

    assert "Seeding is 1.00 times as fast" in (tmp_path / "docs" / "measurements.md").read_text()
    assert str(tmp_path / "docs" / "pictures" / "freshness-dark.svg") in output.getvalue().splitlines()

    seeding.write_text("{}")
    with pytest.raises(CommandError, match="--seeding must be what bench_seeding stored as JSON"):
        call_command("publish_measurements", run=stored, seeding=seeding, docs=tmp_path / "docs")
