"""A restart from an old snapshot, and a replica that missed the last rotation: old tokens come back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from instruments.processes import single_writes
from instruments.processes import writer as stopping_writer
from instruments.processes.process import Process
from instruments.reading import Read, warm
from instruments.scratch_redis import ScratchRedis, scratch_redis
from instruments.waiting import wait_until
from library.models import Book
from readcache.storage import connections
from readcache.storage.current import store

pytestmark = pytest.mark.usefixtures("book")


def wait_until_served(read: Read) -> None:
    """The breaker looks once a second whether Redis is back."""
    wait_until(lambda: "outage" not in read()[0])


def write_elsewhere(variables: dict[str, str]) -> None:
    with Process(single_writes.write_alone, **variables) as writer:
        assert writer.output() == ""


def test_an_entry_from_an_old_snapshot_is_no_hit(
    server: ScratchRedis, variables: dict[str, str], read: Read, read_elsewhere: Read
) -> None:
    warm(server.client, read, read_elsewhere)
    server.client.save()
    write_elsewhere(variables)

    server.restart_from_snapshot()

    assert store().entry_key("") in str(server.client.keys())
    for each in (read, read_elsewhere):
        assert each()[1] == "New"
        wait_until_served(each)
        assert each()[1] == "New"
    assert read()[0].startswith("hit")
    assert read_elsewhere()[0].startswith("hit")


def test_a_writer_killed_before_the_restart_costs_one_lease(
    server: ScratchRedis, variables: dict[str, str], read: Read, read_elsewhere: Read
) -> None:
    """The snapshot has no mark of it: begin-fill makes up for that."""
    warm(server.client, read, read_elsewhere)
    server.client.save()
    with Process(stopping_writer.write_alone, **variables) as writer:
        writer.wait_for("committed")
        server.restart_from_snapshot()
        wait_until_served(read)
        read()
        writer.kill()

    wait_until(lambda: read()[1] == "New")
    for tag in ("library_book", "library_author"):
        assert 0 < server.client.pttl(store().token_key(tag)) <= 2000


@pytest.fixture
def replica(server: ScratchRedis) -> Iterator[ScratchRedis]:
    with scratch_redis() as replica:
        yield replica


def test_a_promoted_replica_that_missed_the_last_rotation_serves_nothing_old(
    server: ScratchRedis, replica: ScratchRedis, variables: dict[str, str], read: Read, read_elsewhere: Read
) -> None:
    warm(server.client, read, read_elsewhere)
    # What a replica has that hears no more: the master's data as they were, under another history.
    server.client.save()
    replica.kill()
    shutil.copy(server.folder / "dump.rdb", replica.folder / "dump.rdb")
    replica.start()
    write_elsewhere(variables)

    link = server.folder / "promoted.sock"
    link.symlink_to(replica.path)
    link.replace(server.path)
    server.kill()

    for each in (read, read_elsewhere):
        assert each()[1] == "New"
        wait_until_served(each)
        assert each()[1] == "New"


def test_open_connections_learn_of_a_new_history_within_a_second(
    server: ScratchRedis, read: Read, read_elsewhere: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was a replica for a moment has another history, on connections that stayed open."""
    warm(server.client, read, read_elsewhere)
    server.client.replicaof("127.0.0.1", 1)
    server.client.replicaof("no", "one")
    Book.objects.update(title="New")

    # The test's clock is a second later.
    monkeypatch.setattr(connections, "CONFIRMED_FOR_SECONDS", 0.0)
    assert read()[1] == "New"
    wait_until(lambda: read_elsewhere()[1] == "New")
    wait_until(lambda: read()[0].startswith("hit") and read_elsewhere()[0].startswith("hit"))


def test_a_replica_serves_nothing(server: ScratchRedis, read: Read, settings: Settings) -> None:
    read()
    assert read()[0].startswith("hit")
    server.client.replicaof("127.0.0.1", 1)
    store().close()
    settings.READ_CACHE_LEASE_SECONDS = 3  # another store, with connections of its own

    assert read()[0] == "fwd=bypass; detail=outage"

    server.client.replicaof("no", "one")
    wait_until_served(read)
