"""Does every response show all writes that were acknowledged before the request began?

Measures: responses of real servers (gunicorn, several processes with threads) over HTTP, while other
processes write scratch products in every way there is, including writes that are rolled back. Each
fact that a response shows (a price, a stock, a product's tags, the names of its category and of a tag)
has a version that grows by one with each write. A writer records a version as acknowledged when its
write has returned. A reader notes the acknowledged versions, sends a request, and compares: a lower
version is stale, a product that is missing is stale, and a value that was only ever rolled back is
uncommitted data. A hit is a response that took no query.
Leaves out: times of responses, and writes that Django's processes do not see. A writer waits for some
reads between two writes, so the share of hits says nothing about the speed of the machine.
"""

from catalog.benchmarks.experiments.freshness.results import FreshnessResult
from catalog.benchmarks.experiments.freshness.soak import measure_freshness

__all__ = ["FreshnessResult", "measure_freshness"]
