"""What visitors and a writer see while the Redis behind their site is refused, hung or restarted.

Every strategy has a server of its own (gunicorn, one synchronous worker), a visitor who asks for a
product's page all the time, one request after the other, and a writer in a process of its own who
saves that product in the midst of the outage, as another worker or a command would. All of them
share one Redis, which is started for this in a temporary folder and is the only one that is harmed.
"""

from catalog.benchmarks.experiments.outage.cases import CASES, HUNG, Timing, observe_outages
from catalog.benchmarks.experiments.outage.observations import Observation
from catalog.benchmarks.experiments.outage.scratch_server import find_server

__all__ = ["CASES", "HUNG", "Observation", "Timing", "find_server", "observe_outages"]
