"""A process that saves one product when it is told to, and how the benchmark talks to it."""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from catalog.benchmarks.processes.children import EXIT_PATIENCE_SECONDS, Process, running_process
from catalog.benchmarks.strategies.registry import Strategy, find_strategy, only_invalidation_of
from catalog.models import Product

WORK = "import django; django.setup(); from catalog.benchmarks.experiments.outage.writers import work; work()"


@dataclass(frozen=True, kw_only=True)
class Save:
    """One ``Product.save()``. ``ended`` is monotonic time; ``error`` is empty where it returned."""

    ended: float
    seconds: float
    error: str = ""


class Writer:
    """Saves as often as it is told to, one save after the other."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def wait_until_ready(self) -> None:
        self._process.wait_until_ready()

    def order(self, stock: int) -> None:
        """Tell it to save this; ``collect`` has what came of it."""
        self._process.send(str(stock))

    def has_ended(self, *, within_seconds: float) -> bool:
        """Whether there is something to collect, within that time."""
        reports = self._process.popen.stdout
        return reports is not None and bool(select.select([reports], [], [], max(0.0, within_seconds))[0])

    def collect(self) -> Save:
        """Raises ``BenchmarkError`` if it takes longer than anything that is bounded."""
        return Save(**json.loads(self._process.answer(timeout_seconds=EXIT_PATIENCE_SECONDS)))


@contextmanager
def running_writer(
    strategy: Strategy, product: int, log: Path, environment: Mapping[str, str]
) -> Iterator[Writer]:
    arguments = ["-c", WORK, strategy.name, str(product)]
    with running_process(arguments, log, environment=environment, strategy=strategy) as process:
        yield Writer(process)


def work() -> None:
    """What the process runs: each line of stdin is a stock to save, each line of stdout what came of it."""
    strategy, product = find_strategy(sys.argv[1]), Product.objects.get(pk=int(sys.argv[2]))
    _say("ready")
    with only_invalidation_of(strategy):
        for line in sys.stdin:
            product.stock = int(line)
            _say(json.dumps(asdict(_save(product))))


def _save(product: Product) -> Save:
    error = ""
    started = time.monotonic()
    try:
        product.save()
    except Exception as raised:  # noqa: BLE001, whatever a strategy's receivers raise is what is measured
        error = f"{type(raised).__name__}: {raised}"
    ended = time.monotonic()
    return Save(ended=ended, seconds=ended - started, error=error)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
