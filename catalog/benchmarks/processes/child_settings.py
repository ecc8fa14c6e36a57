"""The settings of every process that a benchmark starts: the shop's, with the benchmark's overrides."""

import json
import os

from catalog.benchmarks.sandbox.overrides import overrides
from shop.environment import read_bool, read_list, read_text
from shop.settings import *

_of_strategy = json.loads(read_text("BENCH_SETTINGS", default="{}"))
_additional_caches = _of_strategy.pop("CACHES", {})
_key_prefix = os.environ["BENCH_KEY_PREFIX"]
_is_patient = read_bool("BENCH_IS_PATIENT", default=True)
globals().update(_of_strategy)
globals().update(
    overrides(CACHES, key_prefix=_key_prefix, additional_caches=_additional_caches, is_patient=_is_patient)
)
DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
# The plug-in strategies, each as module:Class, and the strategy that this process is for.
BENCH_STRATEGIES = read_list("BENCH_STRATEGIES")
BENCH_PROCESS_OF = read_text("BENCH_PROCESS_OF")
# A line for each invalidation would hide the errors of a server.
LOGGING["loggers"] |= {"catalog": {"handlers": ["stderr"], "level": "WARNING"}}
