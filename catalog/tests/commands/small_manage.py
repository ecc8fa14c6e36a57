"""manage.py with small experiments, for tests that run it in a separate process.

If STAMPEDE_ENDS_BY is set, the stampede experiment ends with that signal or exception.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any

import django


def make_experiments_small(set_attribute: Callable[[Any, str, Any], None]) -> None:
    # Imported here, because these modules need Django's settings.
    from catalog.benchmarks.experiments.invalidation import experiment as invalidation
    from catalog.benchmarks.experiments.invalidation.writes import KINDS
    from catalog.benchmarks.experiments.latency import experiment as latency
    from catalog.benchmarks.options import Scale

    def always(number: int) -> Scale[int]:
        return Scale(quick=number, normal=number, thorough=number)

    set_attribute(invalidation, "KINDS", [kind for kind in KINDS if kind.name in ("save", "update")])
    set_attribute(invalidation, "ROUNDS", always(2))
    set_attribute(latency, "COLD_ROUNDS", always(2))
    set_attribute(latency, "MIX_REQUESTS", always(3))


def make_stampede_end(how: str) -> None:
    """``how`` is the name of a signal that the experiment sends to itself, or of an exception."""
    from catalog.benchmarks.experiments.stampede import experiment as stampede

    def measure(options: Any) -> None:
        if how.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[how])
        raise KeyError(how)

    stampede.measure = measure  # type: ignore[assignment]


if __name__ == "__main__":
    # The settings turn DEBUG on for a program of this name.
    sys.argv[0] = "manage.py"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    django.setup()
    make_experiments_small(setattr)
    if "STAMPEDE_ENDS_BY" in os.environ:
        make_stampede_end(os.environ["STAMPEDE_ENDS_BY"])
    runpy.run_path("manage.py", run_name="__main__")
