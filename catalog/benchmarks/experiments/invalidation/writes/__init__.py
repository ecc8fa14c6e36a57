"""Every kind of write that a shop does, in one list: for what is measured and for the engine's tests.

A kind is a function with the decorator ``kind`` in one of the modules named below.
"""

from catalog.benchmarks.experiments.invalidation.writes import people, products, relations, statements
from catalog.benchmarks.experiments.invalidation.writes.kinds import REGISTERED, Kind, Page
from catalog.benchmarks.experiments.invalidation.writes.targets import Admin, Target, make_targets, own_admin

_MODULES = [module.__name__ for module in (products, relations, statements, people)]
KINDS = tuple(sorted(REGISTERED, key=lambda kind: _MODULES.index(kind.write.__module__)))

__all__ = ["KINDS", "Admin", "Kind", "Page", "Target", "make_targets", "own_admin"]
