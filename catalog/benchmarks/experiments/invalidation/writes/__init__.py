"""All kinds of writes of a shop. The experiment measures them, and the tests of the shop check them.

A kind is a function with the decorator ``kind`` in one of the modules below.
"""

from catalog.benchmarks.experiments.invalidation.writes import interfaces, orm
from catalog.benchmarks.experiments.invalidation.writes.kinds import (
    REGISTERED,
    Kind,
    Page,
    Target,
    make_targets,
)

_MODULES = [orm.__name__, interfaces.__name__]
KINDS = tuple(sorted(REGISTERED, key=lambda kind: _MODULES.index(kind.write.__module__)))

__all__ = ["KINDS", "Kind", "Page", "Target", "make_targets"]
