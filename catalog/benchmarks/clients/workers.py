"""A process of a strategy's own, which does there what is done for the others in this one.

What patches Django (a cache of the ORM's queries, say) would change every strategy's figures, so
it is measured in a process with settings of its own. This process tells that one a URL through a
pipe; it asks its own test client, measures the nanoseconds there, around the request only, and
answers. So strategies take turns, and their times are of the same span.

Writes must happen in the process in which the strategy's invalidation is connected: ``run`` calls
a function there. A function is passed by its module and name, and its arguments and result as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from catalog.benchmarks.clients.exchanges import Exchange, LocalSite
from catalog.benchmarks.processes.children import Process, running_process
from catalog.benchmarks.strategies.registry import Strategy, find_strategy, only_invalidation_of

SERVE = "import django; django.setup(); from catalog.benchmarks.clients.workers import serve; serve()"
# Longer than the longest latency that can be simulated.
ANSWER_PATIENCE_SECONDS = 120.0
WARMING_URL = "/floor-get/nothing"
# Every byte is a character of it.
BYTES = "latin-1"


class Worker:
    """The other process, seen from here. It asks the shop as ``LocalSite`` does, by the same code.

    Methods raise ``BenchmarkError`` with its last words if it failed.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    def time(self, url: str) -> int:
        return int(self._call("time", url=url))

    def get(self, url: str) -> Exchange:
        answer = self._call("get", url=url)
        return Exchange(**{**answer, "body": answer["body"].encode(BYTES)})

    def run(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """The function's result. Raises ``ValueError`` for one that has no name in its module."""
        if "<" in function.__qualname__:
            raise ValueError(
                f"{function.__qualname__} must be a function of a module, which can be imported."
            )
        return self._call("run", module=function.__module__, name=function.__qualname__, arguments=arguments)

    def _call(self, action: str, **parameters: Any) -> Any:
        # Collections there would be counted where those here are not.
        order = {"action": action, "collects_garbage": gc.isenabled(), **parameters}
        self._process.send(json.dumps(order))
        return json.loads(self._process.answer(timeout_seconds=ANSWER_PATIENCE_SECONDS))


@contextmanager
def running_worker(strategy: Strategy) -> Iterator[Worker]:
    """Within ``isolated_cache()``. Only the strategy's own invalidation is connected in the process."""
    with (
        TemporaryDirectory() as folder,
        running_process(["-c", SERVE], Path(folder) / "log", strategy=strategy) as process,
    ):
        process.wait_until_ready()
        yield Worker(process)


def serve() -> None:
    """What the other process runs, until its stdin is closed: an order a line, an answer a line."""
    # Whatever else is printed must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    site = LocalSite()
    # Of a process's own settings the type checker knows nothing.
    strategy = find_strategy(getattr(settings, "BENCH_PROCESS_OF"))  # noqa: B009
    with answers, only_invalidation_of(strategy):
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            # Ends an order that nobody waits for any more. Between orders the end of stdin does.
            signal.alarm(int(2 * ANSWER_PATIENCE_SECONDS))
            print(json.dumps(_obey(site, **json.loads(line))), file=answers, flush=True)


def _obey(site: LocalSite, *, action: str, collects_garbage: bool, **parameters: Any) -> Any:
    _let_collect(collects_garbage)
    # In the benchmark's own process another strategy's request has just been. Without one here, too,
    # waking up is counted: a third of a millisecond.
    site.get(WARMING_URL)
    if action == "run":
        function: Any = import_module(parameters["module"])
        for name in parameters["name"].split("."):
            function = getattr(function, name)
        return function(**parameters["arguments"])
    if action == "time":
        return site.time(parameters["url"])
    exchange = site.get(parameters["url"])
    return {**vars(exchange), "body": exchange.body.decode(BYTES)}


def _let_collect(collects_garbage: bool) -> None:
    if gc.isenabled() and not collects_garbage:
        gc.collect()
        gc.disable()
    elif collects_garbage:
        gc.enable()
