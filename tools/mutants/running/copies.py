"""Scratch copies of the project, in which faults can be planted without touching the working tree."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tools.mutants.areas import ROOT
from tools.mutants.mutations import Mutant

# Python takes a compiled file for current if the source has the time that stands in it.
_times = itertools.count(1_000_000_000)


class Copy:
    """A copy of the project, and a folder for the temporary files of the tests that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self.temporary = folder / "tmp"
        _copy_project(self.tree)
        self.temporary.mkdir()

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        path = self.tree / mutant.path
        source = path.read_bytes()
        _write(path, mutant.apply(source))
        try:
            yield
        finally:
            _write(path, source)

    def clean(self) -> None:
        """End the processes that a killed test has left, and remove its files."""
        for process in psutil.process_iter():
            if process.pid != os.getpid() and self._is_at_home(process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(exist_ok=True)

    def _is_at_home(self, process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()).is_relative_to(self.folder)
        except psutil.Error:
            return False


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder with a short name: the path of a Unix socket has a limit of about 100 characters."""
    folder = Path(tempfile.mkdtemp(prefix="mut"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_project(target: Path) -> None:
    """The files that git knows, and the new ones that it does not ignore, as they stand."""
    git = shutil.which("git")
    if git is None:
        raise FileNotFoundError("Copying the project needs git, to tell its files from what was made.")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def _write(path: Path, source: bytes) -> None:
    path.write_bytes(source)
    time = next(_times)
    os.utime(path, (time, time))
