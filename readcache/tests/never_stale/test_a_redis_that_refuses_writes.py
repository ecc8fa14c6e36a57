"""Out of memory, after a failed snapshot, without its replicas: such a Redis still answers MGET."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from instruments.processes import single_writes
from instruments.processes.process import Process
from instruments.reading import Read, warm
from instruments.scratch_redis import ScratchRedis
from instruments.waiting import wait_until
from library.models import Book
from readcache.storage import connections
from readcache.storage.current import store

pytestmark = pytest.mark.usefixtures("book")


@pytest.fixture(autouse=True)
def _confirms_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's clock is a second later at each exchange."""
    monkeypatch.setattr(connections, "CONFIRMED_FOR_SECONDS", 0.0)


def write_elsewhere(variables: dict[str, str]) -> None:
    with Process(single_writes.write_alone, **variables) as writer:
        assert writer.output() == ""


def test_a_full_redis_is_rotated_all_the_same_and_stays_in_use(
    server: ScratchRedis, variables: dict[str, str], read: Read, read_elsewhere: Read
) -> None:
    warm(server.client, read, read_elsewhere)
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", "1")

    write_elsewhere(variables)

    assert read_elsewhere() == ("fwd=bypass; detail=out-of-memory", "New")
    assert read() == ("fwd=bypass; detail=out-of-memory", "New")
    assert not store().breaker.is_open
    server.client.config_set("maxmemory", "0")
    assert read() == ("fwd=stale; stored", "New")


def test_the_first_connection_to_a_full_redis_is_no_outage(
    server: ScratchRedis, read: Read, settings: Settings
) -> None:
    read()
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", "1")
    store().close()
    settings.READ_CACHE_LEASE_SECONDS = 3  # another store, without a connection

    Book.objects.update(title="New")

    assert not store().breaker.is_open
    assert read() == ("fwd=bypass; detail=out-of-memory", "New")


def test_a_full_redis_still_gives_hits(server: ScratchRedis, read: Read) -> None:
    read()
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", "1")

    assert read()[0].startswith("hit")


def refuse_after_a_failed_snapshot(server: ScratchRedis) -> None:
    server.client.config_set("save", "3600 1000000")
    server.client.config_set("stop-writes-on-bgsave-error", "yes")
    server.client.config_set("dbfilename", "dump.rdb")
    (server.folder / "dump.rdb").mkdir()
    server.client.bgsave()
    wait_until(lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == "err")


def refuse_without_replicas(server: ScratchRedis) -> None:
    server.client.config_set("min-replicas-to-write", "1")


def refuse_as_a_replica(server: ScratchRedis) -> None:
    server.client.replicaof("127.0.0.1", 1)


@pytest.mark.parametrize(
    "refuse", [refuse_after_a_failed_snapshot, refuse_without_replicas, refuse_as_a_replica]
)
def test_nobody_serves_from_a_redis_that_refuses_writes(
    refuse: object, server: ScratchRedis, variables: dict[str, str], read: Read, read_elsewhere: Read
) -> None:
    warm(server.client, read, read_elsewhere)
    assert callable(refuse)
    refuse(server)

    write_elsewhere(variables)

    assert read() == ("fwd=bypass; detail=outage", "New")
    wait_until(lambda: read_elsewhere() == ("fwd=bypass; detail=outage", "New"))


def test_writes_that_are_paused_stop_the_hits(
    server: ScratchRedis, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store(), "_read_seconds", 0.25)
    read()
    assert read()[0].startswith("hit")
    server.client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")

    assert read() == ("fwd=bypass; detail=outage", "Old")

    server.client.execute_command("CLIENT", "UNPAUSE")
    wait_until(lambda: "outage" not in read()[0])


def test_a_write_is_sent_again_where_an_idle_connection_was_forgotten(
    server: ScratchRedis, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a firewall: what is sent on it is never answered."""
    monkeypatch.setattr(store(), "_write_seconds", 1.0)
    read()
    [connection] = store()._connections._idle
    monkeypatch.setattr(type(connection), "send", silent_on(connection, type(connection).send))

    Book.objects.update(title="New")

    assert not store().breaker.is_open
    assert read()[1] == "New"


def silent_on(forgotten: object, send: object) -> object:
    def send_or_not(connection: object, *arguments: object) -> None:
        if connection is not forgotten:
            assert callable(send)
            send(connection, *arguments)

    return send_or_not
