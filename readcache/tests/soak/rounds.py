"""Runs one round of a schedule: writers write, faults come and go, and readers read all the time."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from django.db import connection
from django.test import Client

from instruments.transactions import threads
from soak.actions import (
    FAULT_KINDS,
    LONGEST_SHAPE_SECONDS,
    READERS,
    TARGETS_OF_A_WRITER,
    WRITERS,
    Fault,
    Round,
    Write,
)
from soak.faults import Faults
from soak.oracle import Answer, CutOff, Oracle
from soak.participants import Crew, Participant
from soak.targets import LIST, STATISTICS, Target, committed, urls_of

READ_PAUSE_SECONDS = 0.005
OBSERVE_PAUSE_SECONDS = 0.02
POLL_SECONDS = 0.002
# Of the reads, those of one of the pages that show a single target. The others show all of them.
OWN_PAGES_SHARE = 0.6


@dataclass(kw_only=True)
class RoundReport:
    """``writes`` counts outcomes, and ``judged`` the answers that had to show an acknowledged write."""

    number: int
    writes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    hits: int = 0
    judged: int = 0
    findings: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


class RoundRun:
    """One round, with an oracle of its own."""

    def __init__(self, round_: Round, crew: Crew) -> None:
        self._round = round_
        self._crew = crew
        self._faults = Faults(crew)
        self._oracle = Oracle()
        self._report = RoundReport(number=round_.number, findings=self._oracle.findings)
        self._targets: list[list[Target]] = []
        self._queues: list[queue.SimpleQueue[Write | None]] = [queue.SimpleQueue() for _ in range(WRITERS)]
        self._are_warm = threading.Barrier(READERS + 1)
        self._is_idle = [threading.Event() for _ in range(WRITERS)]
        self._nothing_happens_any_more = threading.Event()
        self._is_over = threading.Event()
        self._fault: Fault | None = None
        self._fault_ends_at = 0.0
        self._cut_off: CutOff | None = None
        self._began = time.monotonic()

    def run(self) -> RoundReport:
        self._make_targets()
        with threads(WRITERS + READERS) as submit:
            work: list[Callable[[], None]] = [
                *(lambda number=number: self._write_all(number) for number in range(WRITERS)),
                *(lambda number=number: self._read_all(number) for number in range(READERS)),
            ]
            running = [submit(partial(self._stopping_all, each)) for each in work]
            try:
                self._are_warm.wait()
                self._follow_the_schedule()
                self._come_to_rest(running)
            finally:
                self._stop()
                for future in running:
                    future.result()
        self._report.judged = self._oracle.judged
        return self._report

    def _make_targets(self) -> None:
        self._crew.writers[0].ask("clear")
        client = Client()
        for number, writer in enumerate(self._crew.writers):
            labels = [f"-{self._round.number}-{number}-{target}" for target in range(TARGETS_OF_A_WRITER)]
            made = writer.ask("make", labels=labels)
            self._targets.append([Target(**each) for each in made])
        for target in [target for targets in self._targets for target in targets]:
            self._oracle.add(target, committed(client, target))

    # The schedule

    def _follow_the_schedule(self) -> None:
        for step in self._round.steps:
            self._pass(step.after_seconds)
            if isinstance(step.action, Write):
                self._ask_for(step.action)
            else:
                self._begin(step.action)
        self._wait_until(lambda: self._fault is None)

    def _ask_for(self, write: Write) -> None:
        is_idle = self._is_idle[write.writer]
        self._wait_until(is_idle.is_set)
        if not self._crew.writers[write.writer].was_killed:
            is_idle.clear()
            self._queues[write.writer].put(write)

    def _begin(self, fault: Fault) -> None:
        self._wait_until(lambda: self._fault is None)
        self._note(f"{fault.kind} of {'all' if fault.link is None else fault.link}")
        self._report.faults[fault.kind] += 1
        if FAULT_KINDS[fault.kind].severs:
            self._cut_off = self._oracle.begin_cut_off(time.monotonic())
        self._faults.begin(fault)
        self._fault, self._fault_ends_at = fault, time.monotonic() + fault.seconds

    def _end_fault(self) -> None:
        if self._fault is None or time.monotonic() < self._fault_ends_at:
            return
        self._faults.end(self._fault)
        if self._cut_off:
            self._cut_off.ended, self._cut_off = time.monotonic(), None
        self._note(f"end of {self._fault.kind}")
        self._fault = None

    def _pass(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._wait_until(lambda: time.monotonic() >= until)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Meanwhile a fault may end."""
        while not condition():
            if self._is_over.is_set():
                raise RuntimeError("A writer or a reader has failed.")
            self._end_fault()
            time.sleep(POLL_SECONDS)

    def _come_to_rest(self, running: list[Future[Any]]) -> None:
        """Wait until nothing more can happen and each write is due. The readers go on meanwhile."""
        for number, is_idle in enumerate(self._is_idle):
            self._queues[number].put(None)
            self._wait_until(is_idle.is_set)
        if any(writer.was_killed for writer in self._crew.writers):
            time.sleep(LONGEST_SHAPE_SECONDS[connection.vendor])
        self._nothing_happens_any_more.set()
        for future in running[:WRITERS]:
            future.result()
        time.sleep(max(0.0, self._oracle.quiet_at() - time.monotonic()))

    def _stopping_all(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        for each in self._queues:
            each.put(None)
        self._are_warm.abort()
        self._nothing_happens_any_more.set()
        self._is_over.set()

    # Writers

    def _write_all(self, number: int) -> None:
        writer, is_idle, client = self._crew.writers[number], self._is_idle[number], Client()
        is_idle.set()
        for write in iter(self._queues[number].get, None):
            self._write(writer, client, self._targets[number][write.target], write)
            is_idle.set()

    def _write(self, writer: Participant, client: Client, target: Target, write: Write) -> None:
        self._oracle.begin(target, time.monotonic())
        with writer.killed(write.kill):
            answer = writer.ask(
                "write", label=target.label, kind=write.kind, shape=write.shape, seconds=write.seconds
            )
        at = time.monotonic()
        outcome = answer["outcome"] if answer else "killed"
        self._report.writes[outcome] += 1
        self._note(f"{writer.name}: {write.kind} of {target.label}, {write.shape}: {outcome}")
        if outcome == "failed":
            self._oracle.report(f"{write} failed: {answer['error']}")
        if outcome == "killed":
            self._is_idle[write.writer].set()
            self._observe(client, target)
            return
        self._oracle.settle(target, at, committed(client, target))
        if not writer.was_killed:
            self._read(writer, target.book_url)

    def _observe(self, client: Client, target: Target) -> None:
        """The database may go on with what a killed writer has sent."""
        while True:
            is_last = self._nothing_happens_any_more.is_set()
            facts = committed(client, target)
            self._oracle.observe(target, time.monotonic(), facts)
            if is_last:
                break
            time.sleep(OBSERVE_PAUSE_SECONDS)
        self._oracle.give_up(target)

    # Readers

    def _read_all(self, number: int) -> None:
        reader, chance = self._crew.readers[number], Random(number)
        urls = urls_of(self._oracle.targets)
        for url in urls:
            self._read(reader, url)
        self._are_warm.wait()
        while not self._is_over.is_set():
            url = chance.choice(urls if chance.random() < OWN_PAGES_SHARE else [LIST, STATISTICS])
            self._read(reader, url, self._round.slow_fill_seconds)
            time.sleep(READ_PAUSE_SECONDS)
        for url in urls:
            self._read(reader, url)

    def _read(self, reader: Participant, url: str, query_seconds: float = 0.0) -> None:
        began = time.monotonic()
        response = reader.ask("read", url=url, query_seconds=query_seconds)
        ended = time.monotonic()
        self._oracle.judge(Answer(reader=reader.name, url=url, began=began, ended=ended, **response))
        self._report.answers += 1
        self._report.hits += "; hit" in response["cache_status"]

    def _note(self, event: str) -> None:
        self._report.events.append(f"{time.monotonic() - self._began:7.3f} s  {event}")
