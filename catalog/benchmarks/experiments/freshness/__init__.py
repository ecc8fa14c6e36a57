"""Does every answer show all that was acknowledged before it was asked for?

Measures: answers of real servers (gunicorn, several processes with threads) over HTTP, while other
processes write in every way there is, rolled-back ways too, on products made for it. Each fact
that an answer shows (a price, a stock, a product's tags, the name of its category and of a tag)
counts a version up with each write. A writer records a version as acknowledged when its write has
returned; a reader notes what is acknowledged, asks, and compares: a lower version is stale, and a
value that was only ever rolled back is uncommitted data. A hit is an answer without a query.
Leaves out: times of answers, and writes that the processes of Django do not see. Writers wait for
some reads between two writes, so the share of hits says nothing about the speed of the machine.
"""

from catalog.benchmarks.experiments.freshness.results import FreshnessResult
from catalog.benchmarks.experiments.freshness.soak import measure_freshness

__all__ = ["FreshnessResult", "measure_freshness"]
