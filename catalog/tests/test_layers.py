"""Imports run one way, as docs/design.md has it. What the engine may import is among its own tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT

# From the bottom up: a module imports of its own layer and of those before it. A module belongs to
# the longest name here that its own begins with.
LAYERS = (
    ("readcache",),
    ("shop",),
    ("catalog",),
    ("catalog.composer", "catalog.seeding", "catalog.flushing", "catalog.demo"),
    ("catalog.benchmarks",),
    ("catalog.management",),
)


def layer_of(module: str) -> int:
    places = [
        (len(name), number)
        for number, names in enumerate(LAYERS)
        for name in names
        if f"{module}.".startswith(f"{name}.")
    ]
    return max(places)[1]


def imports_of(path: Path, module: str) -> Iterator[str]:
    """The project's modules that one imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports by a relative name."
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in found if name.partition(".")[0] in ("catalog", "readcache", "shop"))


def arrows() -> Iterator[tuple[str, str]]:
    for folder in ("readcache", "shop", "catalog"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if ".tests" not in module:
                yield from ((module, imported) for imported in imports_of(path, module))


def runs_up(arrow: tuple[str, str]) -> bool:
    return layer_of(arrow[1]) > layer_of(arrow[0])


def test_no_import_runs_up() -> None:
    assert [arrow for arrow in arrows() if runs_up(arrow)] == []


def test_the_imports_are_seen() -> None:
    seen = set(arrows())

    assert ("shop.settings", "shop.environment.read_bool") in seen
    assert ("catalog.views", "readcache.CachedReadMixin") in seen
    assert ("catalog.management.commands.demo", "catalog.demo.seed") in seen


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("shop.settings", "catalog.models.Product"),
        ("readcache.storage.store", "catalog.options.InvalidOption"),
        ("catalog.views", "catalog.seeding.carry_out"),
        ("catalog.seeding", "catalog.benchmarks.seeding"),
        ("catalog.benchmarks.run", "catalog.management.base.CatalogCommand"),
    ],
)
def test_an_import_that_runs_up_would_be_found(module: str, imported: str) -> None:
    assert runs_up((module, imported))
    assert not runs_up((imported, module))
