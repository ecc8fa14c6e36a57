"""The parts of the project that are mutated, and the suites of tests that can notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Area:
    name: str
    folders: tuple[str, ...]
    without: tuple[str, ...] = ()

    def files(self, root: Path) -> list[str]:
        """Paths of its modules, relative to ``root``."""
        return _files(root, "*.py", self.folders, self.without)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Tests that run in one pytest. ``root`` is the folder that node ids begin at."""

    name: str
    root: str
    folders: tuple[str, ...]
    without: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def files(self, root: Path) -> list[str]:
        """Paths of its tests, relative to ``root``."""
        return _files(root, "test_*.py", self.folders, self.without)

    def file_of(self, nodeid: str) -> str:
        return (PurePosixPath(self.root) / nodeid.partition("::")[0]).as_posix()


AREAS = (
    Area(name="engine", folders=("readcache",), without=("readcache/testing", "readcache/tests")),
    Area(
        name="detectors",
        folders=(
            "catalog/benchmarks/experiments",
            "catalog/benchmarks/figures",
            "catalog/benchmarks/clients",
        ),
    ),
)
# The engine's own tests first: they are to notice its faults without the shop's.
SUITES = (
    Suite(
        name="engine",
        root="readcache/tests",
        folders=("readcache/tests",),
        arguments=("-c", "readcache/tests/pytest.ini"),
    ),
    Suite(name="shop", root=".", folders=("catalog", "shop")),
)


def mutated_files(root: Path) -> list[str]:
    return [path for area in AREAS for path in area.files(root)]


def _files(root: Path, pattern: str, folders: tuple[str, ...], without: tuple[str, ...]) -> list[str]:
    found = (path.relative_to(root) for folder in folders for path in (root / folder).rglob(pattern))
    kept = (path for path in found if not any(path.is_relative_to(folder) for folder in without))
    return sorted(path.as_posix() for path in kept)
