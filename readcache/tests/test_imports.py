"""What the engine's modules and their tests import: nothing of a project, and nothing that unpickles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import readcache

ENGINE = Path(readcache.__file__).parent
TESTS = Path(__file__).parent
# The shop and the tests at the root of its repository, and relative imports.
OUTSIDE = {"catalog", "shop", "conftest", ""}
IMPORTING_FUNCTIONS = ("import_module", "import_string", "__import__", "get_model")


def modules() -> list[Path]:
    """The modules of the engine that is tested, and of these tests, wherever either is."""
    return sorted({*ENGINE.rglob("*.py"), *TESTS.rglob("*.py")})


def imported_names() -> Iterator[tuple[Path, str]]:
    """Each module with each name that it imports, anywhere in it."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = "." * node.level + (node.module or "")
                yield from ((path, f"{base}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(IMPORTING_FUNCTIONS):
                yield path, ast.unparse(node)


def is_outside(name: str) -> bool:
    return name.partition(".")[0] in OUTSIDE or "'catalog" in name or "'shop" in name


def engine_imports() -> Iterator[tuple[str, str]]:
    """Those of the engine itself, by the names of its modules."""
    yield from ((path.name, name) for path, name in imported_names() if TESTS not in path.parents)


def test_the_imports_of_the_engine_are_seen() -> None:
    seen = set(engine_imports())

    assert ("entries.py", "zlib") in seen
    assert ("store.py", "readcache.storage.entries.encode") in seen


def test_the_imports_of_the_tests_are_seen() -> None:
    assert (Path(__file__), "readcache") in set(imported_names())


def test_the_engine_does_not_pickle() -> None:
    unsafe = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}

    found = [(module, name) for module, name in engine_imports() if unsafe & set(name.split("."))]

    assert found == []


def test_the_engine_does_not_use_the_cache_framework_that_pickles() -> None:
    uses = {
        (path.name, node.attr)
        for path in modules()
        if TESTS not in path.parents
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"cache", "caches"}
    }

    assert uses == set()


def test_neither_the_engine_nor_its_tests_import_anything_of_the_shop() -> None:
    assert [(str(path), name) for path, name in imported_names() if is_outside(name)] == []


def test_an_import_of_the_shop_would_be_found() -> None:
    for name in ("catalog.models", "shop.settings", "conftest.ROOT", ".views", "get_model('catalog', 'x')"):
        assert is_outside(name)
    for name in ("readcache.conf", "library.models", "catalogue.views", "get_model('library', 'x')"):
        assert not is_outside(name)
