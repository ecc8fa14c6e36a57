from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest
from django.urls import clear_url_caches

from catalog.benchmarks.strategies import plug_ins
from catalog.tests.benchmarks.clients.scripted_server import OK, ScriptedServer, Serve


@pytest.fixture(scope="session", autouse=True)
def _temporary_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Create pytest's temporary folder before a run changes the place of temporary folders.

    Otherwise the folder would be created in the folder of the run, and removed with it.
    """
    tmp_path_factory.getbasetemp()


@pytest.fixture(autouse=True)
def _no_plug_in_is_left() -> Iterator[None]:
    yield
    if plug_ins.loaded():
        plug_ins._loaded.clear()
        plug_ins.url_patterns.clear()
        clear_url_caches()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a scripted server. Without a script it always answers ``OK``."""
    running: list[ScriptedServer] = []

    def start(*script: Sequence[bytes], before_answer: Callable[[], None] = lambda: None) -> ScriptedServer:
        running.append(ScriptedServer(script or ([OK],), before_answer))
        return running[-1]

    yield start
    for server in running:
        server.close()


def children() -> set[int]:
    """The ids of this process's children. Compare with <=, because earlier children may have ended."""
    return {child.pid for child in psutil.Process().children(recursive=True)}
