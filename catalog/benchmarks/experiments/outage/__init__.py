"""What clients and a writer see while the Redis behind their site is refused, hung or restarted.

Every strategy has a server of its own (gunicorn, one synchronous worker) and a client that requests a
product's page all the time, one request after the other. A writer in a process of its own saves that
product in the middle of the outage, as another worker or a command would. All of them share one Redis,
which is started for this in a temporary folder and is the only one that is harmed.
"""

from catalog.benchmarks.experiments.outage.cases import CASES, HUNG, Timing, observe_outages
from catalog.benchmarks.experiments.outage.faults import find_server
from catalog.benchmarks.experiments.outage.observations import Observation

__all__ = ["CASES", "HUNG", "Observation", "Timing", "find_server", "observe_outages"]
