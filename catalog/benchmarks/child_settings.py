"""The settings of a benchmark's servers, readers and writers: the shop's, in the benchmark's corner."""

import os

from catalog.benchmarks.overrides import overrides
from shop.settings import *

globals().update(overrides(CACHES, key_prefix=os.environ["BENCH_KEY_PREFIX"]))
# A line for each invalidation would bury what a server has to say.
LOGGING["loggers"] |= {"catalog": {"handlers": ["stderr"], "level": "WARNING"}}
