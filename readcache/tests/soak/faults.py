"""The faults of a schedule, done to a scratch Redis and to the proxies before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from instruments.redis_proxy import RedisProxy
from instruments.scratch_redis import ScratchRedis
from soak.actions import Fault
from soak.participants import Crew


class Faults:
    """Done to the server and to the proxies of a crew."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    @property
    def _server(self) -> ScratchRedis:
        return self._crew.server

    def begin(self, fault: Fault) -> None:
        BEGIN[fault.kind](self, fault)

    def end(self, fault: Fault) -> None:
        if fault.kind in END:
            END[fault.kind](self, fault)

    def _of(self, fault: Fault) -> Sequence[RedisProxy]:
        proxies = self._crew.proxies
        return proxies if fault.link is None else [proxies[fault.link]]

    def save(self, fault: Fault) -> None:
        self._server.client.save()

    def kill(self, fault: Fault) -> None:
        self._server.kill()

    def start(self, fault: Fault) -> None:
        self._server.start()

    def fail_over(self, fault: Fault) -> None:
        self._crew.fail_over()

    def fill_up(self, fault: Fault) -> None:
        self._server.client.config_set("maxmemory", 1)

    def make_room(self, fault: Fault) -> None:
        self._server.client.config_set("maxmemory", 0)

    def evict(self, fault: Fault) -> None:
        """As under volatile-lru: keys that have an expiry, about half of them."""
        client, chance = self._server.client, Random(fault.chance)
        for key in sorted(client.scan_iter()):
            if chance.random() < 0.5 and client.pttl(key) > 0:
                client.delete(key)

    def pause(self, fault: Fault) -> None:
        self._server.pause()

    def go_on(self, fault: Fault) -> None:
        self._server.go_on()

    def cut(self, fault: Fault) -> None:
        for proxy in self._of(fault):
            proxy.cut()

    def lose_a_reply(self, fault: Fault) -> None:
        for proxy in self._of(fault):
            proxy.loses_next_reply = True

    def delay_replies(self, fault: Fault) -> None:
        for proxy in self._of(fault):
            proxy.reply_delay_seconds = 0.02 + 0.13 * fault.chance

    def delay_no_reply(self, fault: Fault) -> None:
        for proxy in self._of(fault):
            proxy.reply_delay_seconds = 0.0

    def refuse_connections(self, fault: Fault) -> None:
        for proxy in self._of(fault):
            proxy.refuses = True
            proxy.cut()

    def accept_connections(self, fault: Fault) -> None:
        for proxy in self._of(fault):
            proxy.refuses = False


Act = Callable[[Faults, Fault], None]

BEGIN: dict[str, Act] = {
    "snapshot": Faults.save,
    "restart": Faults.kill,
    "fail over": Faults.fail_over,
    "full": Faults.fill_up,
    "evict": Faults.evict,
    "pause": Faults.pause,
    "long pause": Faults.pause,
    "cut": Faults.cut,
    "lose a reply": Faults.lose_a_reply,
    "delay replies": Faults.delay_replies,
    "refuse connections": Faults.refuse_connections,
}
END: dict[str, Act] = {
    "restart": Faults.start,
    "full": Faults.make_room,
    "pause": Faults.go_on,
    "long pause": Faults.go_on,
    "delay replies": Faults.delay_no_reply,
    "refuse connections": Faults.accept_connections,
}
