"""A process that ends while it cannot reach Redis flushes its rotations first."""

from __future__ import annotations

import pytest

from instruments.processes import pool
from instruments.processes import writer as stopping_writer
from instruments.processes.process import Process
from instruments.reading import Read
from instruments.scratch_redis import ScratchRedis
from instruments.waiting import wait_until

pytestmark = pytest.mark.usefixtures("book")


def test_a_process_of_a_pool_flushes_what_it_wrote_during_a_cut(
    server: ScratchRedis, variables: dict[str, str], read: Read
) -> None:
    """Such a process runs no atexit functions."""
    read()
    assert read()[1] == "Old"
    with Process(
        pool.write_in_a_pool, "multiprocessing", **variables, LIBRARY_REDIS_SECONDS="0.2"
    ) as process:
        process.wait_for("ready")
        server.pause()
        process.go_on()
        process.wait_for("written")
        server.go_on()
        process.wait_for("ended")

    assert read()[1] == "New"


def test_a_killed_worker_is_bounded_by_the_lease_where_it_had_guarded(
    server: ScratchRedis, variables: dict[str, str], read: Read
) -> None:
    """A kill lets a process do nothing more."""
    read()
    with Process(stopping_writer.write_alone, **variables) as process:
        process.wait_for("committed")
        process.kill()

    wait_until(lambda: read()[1] == "New")


def test_a_worker_that_exits_at_once_is_bounded_by_the_lease_where_it_had_guarded(
    server: ScratchRedis, variables: dict[str, str], read: Read
) -> None:
    read()
    with Process(stopping_writer.write_and_exit, **variables) as process:
        assert process.output() == ""

    wait_until(lambda: read()[1] == "New")
