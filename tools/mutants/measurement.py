"""Which lines each test runs and how long it takes, measured once and kept for the next mutants."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.mutants.areas import ROOT, SUITES, Suite, mutated_files
from tools.mutants.running import recorder
from tools.mutants.running.copies import Copy, scratch_folder
from tools.mutants.running.runs import environment, events, pytest_command, run_tests

FILES_AT_ONCE = 12

Lines = dict[str, list[int]]
Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class MeasuredTest:
    """``ran`` are the lines of each mutated file that it runs, in its process and in those it starts."""

    suite: str
    nodeid: str
    file: str
    seconds: float
    passed: bool
    ran: Lines


@dataclass(kw_only=True)
class Measurement:
    """``hashes`` are those of the sources and test files it was made of; ``imported``: lines of no test."""

    tests: list[MeasuredTest] = field(default_factory=list)
    imported: Lines = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)

    def without(self, nodeids: Set[str]) -> Measurement:
        kept = [test for test in self.tests if test.nodeid not in nodeids]
        return Measurement(tests=kept, imported=self.imported, hashes=self.hashes)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Measurement:
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text())
        tests = [MeasuredTest(**test) for test in stored["tests"]]
        return cls(tests=tests, imported=stored["imported"], hashes=stored["hashes"])


def up_to_date(path: Path, *, jobs: int, say: Say) -> Measurement:
    """The measurement kept in a file, with the tests measured anew that have changed or run changed files.

    It is saved after every few files of tests: a run that is cut short goes on from there.
    """
    kept = Measurement.load(path)
    hashes = _hashes(ROOT)
    is_current = {path: kept.hashes.get(path) == value for path, value in hashes.items()}
    stale = {test.file for test in kept.tests if not _is_current(test, is_current)}
    result = Measurement(tests=[test for test in kept.tests if test.file not in stale], hashes=hashes)
    measured = {test.file for test in result.tests}
    result.imported = {path: lines for path, lines in kept.imported.items() if is_current.get(path)}
    for suite in SUITES:
        files = [file for file in suite.files(ROOT) if file not in measured]
        for start in range(0, len(files), FILES_AT_ONCE):
            say(f"Measuring which lines are run by the {suite.name}'s tests: {start} of {len(files)} files.")
            _measure(suite, files[start : start + FILES_AT_ONCE], result, jobs=jobs, say=say)
            result.save(path)
    return result


def _is_current(test: MeasuredTest, is_current: dict[str, bool]) -> bool:
    return is_current.get(test.file, False) and all(is_current.get(path, False) for path in test.ran)


def _hashes(root: Path) -> dict[str, str]:
    tests = [path for suite in SUITES for path in suite.files(ROOT)]
    return {
        path: hashlib.sha256((root / path).read_bytes()).hexdigest()
        for path in [*mutated_files(root), *tests]
    }


def _measure(suite: Suite, files: list[str], result: Measurement, *, jobs: int, say: Say) -> None:
    with scratch_folder() as folder:
        copy = Copy(folder)
        records = folder / "records"
        records.mkdir()
        sources = mutated_files(copy.tree)
        python = _recording_python(folder / "venv", records, [str(copy.tree / path) for path in sources])
        try:
            subprocess.run(
                pytest_command(python, suite, ["-n", str(jobs), "--dist", "loadfile", *files]),
                cwd=copy.tree,
                env=environment(copy, records),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                check=False,
            )
        finally:
            copy.clean()
        tests, imported = _read_records(suite, records, sources)
        _try_again(copy, suite, tests, say)
    result.tests += tests.values()
    for path, lines in imported.items():
        result.imported[path] = sorted({*lines, *result.imported.get(path, [])})


def _recording_python(folder: Path, records: Path, paths: list[str]) -> str:
    """A virtual environment with the packages of this one, in which every Python records its lines."""
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    packages.mkdir(parents=True)
    python = folder / "bin" / "python"
    python.parent.mkdir()
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    python.symlink_to(base)
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    shutil.copy(recorder.__file__, packages / "mutants_recorder.py")
    configuration = {"folder": str(records), "paths": paths}
    (packages / recorder.CONFIGURATION).write_text(json.dumps(configuration))
    packages_here = sysconfig.get_path("purelib")
    lines = [f"import site; site.addsitedir({packages_here!r})", "import mutants_recorder"]
    (packages / "mutants.pth").write_text("\n".join(lines) + "\n")
    return str(python)


def _read_records(
    suite: Suite, records: Path, sources: list[str]
) -> tuple[dict[str, MeasuredTest], dict[str, set[int]]]:
    """The tests by their node ids, and the lines that ran while none did."""
    tests: dict[str, MeasuredTest] = {}
    by_number: dict[int, str] = {}
    for event in events(records):
        if "ended" in event:
            nodeid = str(event["ended"])
            by_number[int(str(event["number"]))] = nodeid
            tests[nodeid] = MeasuredTest(
                suite=suite.name,
                nodeid=nodeid,
                file=suite.file_of(nodeid),
                seconds=float(str(event["seconds"])),
                passed=bool(event["passed"]),
                ran={},
            )
    ran: dict[int, dict[str, set[int]]] = {}
    for context, source, line in _recorded_lines(records):
        ran.setdefault(context, {}).setdefault(sources[source], set()).add(line)
    imported = ran.pop(recorder.NO_TEST, {})
    for number, lines in ran.items():
        if number in by_number:
            tests[by_number[number]].ran.update({path: sorted(found) for path, found in lines.items()})
    return tests, imported


def _recorded_lines(records: Path) -> Iterator[tuple[int, int, int]]:
    for path in records.glob("*.lines"):
        for line in path.read_text().splitlines():
            parts = line.split()
            # A process that was killed can leave half a line.
            if len(parts) == 3:
                yield int(parts[0]), int(parts[1]), int(parts[2])


def _try_again(copy: Copy, suite: Suite, tests: dict[str, MeasuredTest], say: Say) -> None:
    """Recording makes a process slow: a test that failed may pass without."""
    failed = {nodeid: test.seconds for nodeid, test in tests.items() if not test.passed}
    if not failed:
        return
    passed = set(run_tests(copy, suite, failed, stops_at_first_failure=False).passed)
    for nodeid in failed:
        tests[nodeid] = MeasuredTest(**{**asdict(tests[nodeid]), "passed": nodeid in passed})
    _say_what_fails(set(failed) - passed, say)


def _say_what_fails(nodeids: Iterable[str], say: Say) -> None:
    for nodeid in sorted(nodeids):
        say(f"Fails without a mutant, so that no kill of it counts: {nodeid}")
