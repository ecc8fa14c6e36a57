"""bench_cache shows a stored run with --from and --report."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.benchmarks.report.export import to_json
from catalog.benchmarks.report.markdown import render_markdown
from catalog.benchmarks.report.text import render_text
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


def test_a_stored_run_is_shown_in_every_format_without_measuring(stored: Path) -> None:
    # This test has no access to a database, so nothing is measured.
    assert show(stored=stored) == render_text(RUN, columns=None, colour=False)
    assert show(stored=stored, format="markdown") == render_markdown(RUN)
    assert json.loads(show(stored=stored, format="json")) == json.loads(stored.read_text())


def test_a_stored_run_can_become_a_report(stored: Path, tmp_path: Path) -> None:
    show(stored=stored, report=tmp_path / "report")

    assert "How often is an answer stale?" in (tmp_path / "report" / "index.html").read_text()
    assert (tmp_path / "report" / "freshness-dark.svg").exists()


def test_a_folder_with_other_files_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()

    # This test has no access to a database, so measuring would fail with another message.
    with pytest.raises(CommandError, match="--report must name a folder that is new") as raised:
        show(report=tmp_path)
    assert raised.value.returncode == 2


def test_options_for_measuring_are_refused_with_a_stored_run(stored: Path, manage: Manage) -> None:
    done = manage("bench_cache", "latency", "--from", str(stored), "--quick", "--seed", "3")

    assert done.returncode == 2
    assert done.stderr == (
        "CommandError: --from measures nothing. Leave out EXPERIMENT, --quick or --thorough, --seed, "
        "or --from itself.\n"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("{", "Expecting property name"),
        ("[]", "it has no schema version, but only version 3 can be read"),
        ('{"schema_version": 2}', "it has schema version 2, but only version 3 can be read"),
        ('{"schema_version": 3}', "it is not a whole run"),
        ("\0\xff", "Expecting value"),
    ],
)
def test_a_file_without_a_stored_run_is_one_error(content: str | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(CommandError, match="--from must name results stored as JSON") as raised:
        show(stored=path)
    assert raised.value.returncode == 2
    assert reason in str(raised.value)
