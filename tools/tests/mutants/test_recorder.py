from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.mutants import measurement

PROGRAM = """\
import subprocess
import sys

if len(sys.argv) > 1:
    import os
    import threading

    def in_a_thread():
        os.kill(os.getpid(), 9)

    threading.Thread(target=in_a_thread).start()
else:
    import mutants_recorder

    mutants_recorder.RECORDER.enter_test(7)
    # Without the environment of this process.
    subprocess.run([sys.executable, __file__, "child"], env={})
"""


@pytest.fixture
def recorded(tmp_path: Path) -> set[tuple[int, int, int]]:
    """What is recorded of a test, number 7, that starts a process which is killed in a thread."""
    records = tmp_path / "records"
    records.mkdir()
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    python = measurement._recording_python(
        tmp_path / "venv", records, [str(tmp_path / "other"), str(program)]
    )
    subprocess.run([python, str(program)], check=True)
    return set(measurement._recorded_lines(records))


def test_the_lines_of_a_killed_process_belong_to_the_test_that_started_it(
    recorded: set[tuple[int, int, int]],
) -> None:
    assert (7, 1, PROGRAM.splitlines().index("        os.kill(os.getpid(), 9)") + 1) in recorded


def test_the_lines_before_a_test_belong_to_none(recorded: set[tuple[int, int, int]]) -> None:
    of_no_test = {line for context, _, line in recorded if context == 0}

    assert 1 in of_no_test
    assert 9 not in of_no_test
