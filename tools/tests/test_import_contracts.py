"""The import contracts of pyproject.toml hold, and each of them would notice a wrong import."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

PACKAGES = ("tools", "catalog", "shop", "readcache")


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache"],
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_import_runs_in_its_direction() -> None:
    done = lint_imports(ROOT)

    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources without their tests, which a test may break."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    return root


@pytest.mark.parametrize(
    ("importing", "imported", "contract"),
    [
        ("readcache/conf.py", "catalog.models", "The read cache is below the shop's settings"),
        ("shop/urls.py", "catalog.views", "The read cache is below the shop's settings"),
        ("catalog/models.py", "tools", "The read cache is below the shop's settings"),
        ("catalog/seeding/__init__.py", "catalog.benchmarks.run", "The catalogue imports downwards"),
        ("catalog/seeding/__init__.py", "catalog.flushing", "The catalogue imports downwards"),
        ("catalog/benchmarks/sandbox/rows.py", "catalog.benchmarks.clients", "The laboratory imports"),
        ("catalog/benchmarks/report/text.py", "catalog.benchmarks.experiments", "Reports need nothing"),
        ("catalog/benchmarks/report/text.py", "catalog.benchmarks.run", "The laboratory imports"),
        (
            "catalog/benchmarks/experiments/leak/experiment.py",
            "catalog.benchmarks.experiments.outage.experiment",
            "Experiments do not import each other",
        ),
        ("readcache/request/keys.py", "readcache.invalidation", "The read cache imports downwards"),
        ("readcache/storage/store.py", "readcache.serving", "The read cache imports downwards"),
    ],
)
def test_a_wrong_import_is_found(importing: str, imported: str, contract: str, copy: Path) -> None:
    module = copy / importing
    text = module.read_text()
    module.write_text(f"{text}\nimport {imported}\n")
    try:
        done = lint_imports(copy)
    finally:
        module.write_text(text)

    assert done.returncode == 1, done.stdout
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), done.stdout


def test_a_module_without_a_layer_is_found(copy: Path) -> None:
    module = copy / "catalog" / "benchmarks" / "helpers.py"
    module.touch()
    try:
        done = lint_imports(copy)
    finally:
        module.unlink()

    assert "catalog.benchmarks.helpers" in done.stdout.partition("Broken contracts")[2]
