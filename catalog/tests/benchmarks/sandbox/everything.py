"""A child process that creates everything a run can leave behind, for a test that kills it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import cache

from catalog.benchmarks.experiments.freshness.shelves import stocked_shelves
from catalog.benchmarks.experiments.growth.databases import scratch_database
from catalog.benchmarks.experiments.outage.faults import hung
from catalog.benchmarks.processes.children import running_child
from catalog.benchmarks.processes.scratch_redis import scratch_redis
from catalog.benchmarks.sandbox.accounts import browsing, scratch_accounts
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.sandbox.rows import scratch_rows
from catalog.tests.benchmarks.processes.services import Service, serving


@contextmanager
def making_everything() -> Iterator[Service]:
    with (
        isolated_cache(),
        scratch_rows(2),
        scratch_accounts() as (_, user, _),
        browsing(user, accept="text/html"),
        stocked_shelves(1),
        scratch_database(),
        running_child(serving) as child,
        scratch_redis() as redis,
        hung(redis),
    ):
        child.wait_until_ready()
        # Stopped, because otherwise it would end by itself when this process is killed.
        child.process.popen.send_signal(signal.SIGSTOP)
        cache.set("mine", 1)
        yield Service()
