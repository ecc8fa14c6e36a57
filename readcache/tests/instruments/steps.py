"""The steps of writers, readers, Redis and time of which the traces of the protocol's model consist."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from instruments.changed_scripts import changed_script, modules_with
from instruments.reading import LEASE_SECONDS, Read, warm
from instruments.scratch_redis import ScratchRedis
from instruments.transactions import in_another_thread
from library.models import Book
from readcache.invalidation import watch as watch_module
from readcache.invalidation.recording import suspended
from readcache.storage.current import store

TAG = "library_book"


class Steps:
    """``replica`` is a second server, which knows nothing yet. ``patch`` takes rules out."""

    def __init__(
        self, server: ScratchRedis, replica: ScratchRedis, read: Read, patch: pytest.MonkeyPatch
    ) -> None:
        self.server, self.replica, self.read, self.patch = server, replica, read, patch
        # Since the COMMIT took effect.
        self._ticked_seconds = 0.0

    # The writers

    def guard(self) -> str:
        mark = watch_module.new_mark()  # type: ignore[attr-defined]
        store().guard([TAG], mark)
        return mark

    def rotate(self, mark: str) -> None:
        store().rotate([TAG], ends=[mark])

    def commit_takes_effect(self) -> None:
        """As on a database that goes on after its client was killed."""

        def write() -> None:
            with suspended():
                Book.objects.update(title="New")

        in_another_thread(write)
        self._ticked_seconds = 0.0

    # The reader

    def warm(self) -> None:
        warm(self.server.client, self.read)
        assert self.server.client.pttl(store().token_key(TAG)) == -1

    def fill(self, meanwhile: Callable[[], None]) -> None:
        """A reader begins a fill and reads the database; ``meanwhile`` happens; the reader stores."""
        for key in self.server.client.scan_iter("*:entry:*"):
            self.server.client.delete(key)
        has_happened = []

        def act_after_the_last_query(execute: Any, sql: str, *rest: Any) -> Any:
            result = execute(sql, *rest)
            if "library_topic" in sql:
                meanwhile()
                has_happened.append(True)
            return result

        with connection.execute_wrapper(act_after_the_last_query):
            status, title = self.read()
        assert has_happened
        assert (status, title) == ("fwd=uri-miss; stored", "Old")

    # Redis and time

    def tick(self, seconds: float) -> None:
        """As if these seconds had passed for Redis."""
        client, milliseconds = self.server.client, round(seconds * 1000)
        for key in client.scan_iter("*:rc1:*"):
            if client.type(key) == b"zset":
                for member, deadline in client.zrange(key, 0, -1, withscores=True):
                    client.zadd(key, {member: deadline - milliseconds})
            elif (left := client.pttl(key)) != -1:
                client.pexpire(key, left - milliseconds)
        self._ticked_seconds += seconds

    def evict(self, *keys: str) -> None:
        self.server.client.delete(*keys)

    def evict_what_expires(self) -> None:
        """As a volatile policy may do at any time."""
        for key in (store().token_key(TAG), store().marks_key(TAG)):
            if self.server.client.pttl(key) >= 0:
                self.evict(key)

    def save(self) -> None:
        self.server.client.save()

    def restart(self) -> None:
        self.server.restart_from_snapshot()

    def promote(self) -> None:
        """The replica, which has heard what was last saved, takes the server's address.

        Whoever is connected to the old master stays connected. New connections go to the replica.
        """
        self.replica.kill()
        shutil.copy(self.server.folder / "dump.rdb", self.replica.folder / "dump.rdb")
        self.replica.start()
        link = self.server.folder / "promoted.sock"
        link.symlink_to(self.replica.path)
        link.replace(self.server.path)
        store()._connections._forget()

    # What a reader sees in the end

    def read_after_the_lease(self) -> tuple[str, str]:
        """The Cache-Status and the title, one lease after the COMMIT took effect."""
        self.tick(LEASE_SECONDS - self._ticked_seconds)
        return self.read()

    # Rules that are taken out

    def change(self, name: str, *changes: tuple[str, str]) -> None:
        """Run a changed text of this script."""
        changed = changed_script(name, *changes)
        for module in modules_with(name):
            self.patch.setattr(module, name, changed)
