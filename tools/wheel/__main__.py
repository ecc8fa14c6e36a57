"""Builds the wheel and tries it in a new environment and a new project, as docs/your-project.md says."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from readcache.testing import PrivateRedis
from tools.wheel.page import ROOT, read_page
from tools.wheel.project import Project, TrialFailed
from tools.wheel.trial import try_page, try_tests

PACKAGE = "readcache/"
NOT_SHIPPED = "readcache/tests/"
REQUIRED = {"readcache/__init__.py", "readcache/py.typed", "readcache/testing/__init__.py"}


def main() -> int:
    argparse.ArgumentParser(prog="python -m tools.wheel", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        try:
            _try_wheel(Path(folder))
        except (TrialFailed, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _try_wheel(folder: Path) -> None:
    page = read_page()
    wheel = build_wheel(folder)
    require_engine_only(wheel)
    print(f"Built {wheel.name}, which holds the engine and nothing else.", flush=True)
    python = _new_environment(folder / "environment")
    install(python, str(wheel))
    project = Project(folder=folder / "project", python=python)
    server = PrivateRedis(folder / "redis")
    server.ensure_running()
    try:
        try_page(project, page, redis_url=server.url(database=2))
    finally:
        server.stop()
    print("A new project with the page's nine lines: a miss, a hit, a write, the change.", flush=True)
    install(python, f"{wheel}[testing]")
    try_tests(project, page)
    print("The page's own test passes on a private Redis.")


def build_wheel(folder: Path) -> Path:
    _pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def require_engine_only(wheel: Path) -> None:
    """Raise ``TrialFailed`` unless the wheel holds the engine, its metadata, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = f"{wheel.name.rsplit('-', 3)[0]}.dist-info/"
    foreign = {
        name for name in names if not name.startswith((PACKAGE, metadata)) or name.startswith(NOT_SHIPPED)
    }
    missing = REQUIRED - names
    if foreign or missing:
        raise TrialFailed(f"{wheel.name} lacks {sorted(missing)} and should not have {sorted(foreign)}.")


def install(python: Path, requirement: str) -> None:
    _pip(python, "install", requirement)


def _new_environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def _pip(python: Path, *arguments: str) -> None:
    # Warnings about a machine's own package index say nothing about the wheel.
    command = [str(python), "-m", "pip", "-qq", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
