from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandParser

from catalog.demo import ADMIN_NAME, load_fixture_once, make_admin, plan_at_least, seed
from catalog.management.base import CatalogCommand
from catalog.options import require_whole_number
from catalog.seeding import MAX_COUNT
from readcache.wording import counted
from shop.private_redis import private_redis

# Each request leaves a sample in memory.
MAX_REQUESTS = 10_000_000
NEXT_STEPS = """
What to try next:

  make run, then open
    http://127.0.0.1:8000/                    every endpoint, to click through
    http://127.0.0.1:8000/products/           the list behind the read cache
    http://127.0.0.1:8000/textbook/products/  the same list behind cache_page
    http://127.0.0.1:8000/uncached/products/  the same list without a cache
    http://127.0.0.1:8000/admin/              a save here clears the lists
                                              {login}
  make bench ARGS="--path '/products/?search=lamp&ordering=-price'"
  make redis-cli, then: SCAN 0 MATCH *product_list* COUNT 1000

  . .venv/bin/activate, then
    python manage.py inspect_read_cache
    python manage.py bench_cache all --quick --report bench/"""


class Command(CatalogCommand):
    help = (
        "Demonstrate the shop: create the tables, fill the catalogue, create an admin, measure the caches "
        "and exercise their invalidation. A second run adds only what is missing."
    )
    examples = ("", "--count 100000")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--count",
            type=int,
            default=10_000,
            help="Least number of seeded products (default: %(default)s).",
        )
        parser.add_argument(
            "--requests",
            type=int,
            default=200,
            help="Repeat requests to time with each strategy (default: %(default)s).",
        )

    def handle(self, *, count: int, requests: int, verbosity: int, **options: Any) -> None:
        require_whole_number("--count", count, minimum=1, maximum=MAX_COUNT)
        require_whole_number("--requests", requests, minimum=1, maximum=MAX_REQUESTS)
        with self._private_redis_left_as_found():
            self._step("Creating the tables", verbosity)
            call_command("migrate", verbosity=0)
            self._fill_catalogue(count, verbosity)
            password = self._make_admin(verbosity)
            self._step("Measuring, which takes up to a minute", verbosity)
            call_command(
                "bench_cache",
                strategies=["textbook", "readcache"] if settings.TEXTBOOK else ["readcache"],
                effort="quick",
                requests=requests,
                verbosity=verbosity,
                stdout=self.stdout,
                stderr=self.stderr,
            )
        # Shown again, because the tables have scrolled the first line away.
        login = f"log in: {ADMIN_NAME}, {password}" if password else f"log in as {ADMIN_NAME}"
        self._step(NEXT_STEPS.format(login=login), verbosity)

    def _fill_catalogue(self, count: int, verbosity: int) -> None:
        loaded = load_fixture_once()
        from_fixture = f"{counted(loaded, 'product')} from the fixture"
        self._step(
            f"Loaded {from_fixture}" if loaded else "The products of the fixture exist already", verbosity
        )
        plan = plan_at_least(count)
        if plan is None:
            self._step(f"At least {counted(count, 'seeded product')} exist already", verbosity)
            return
        with self.progress("Seeding", plan.missing, verbosity=verbosity) as advance:
            added = seed(plan, on_progress=advance)
        self._step(f"Seeded {counted(added, 'product')}", verbosity)

    def _make_admin(self, verbosity: int) -> str | None:
        password = make_admin()
        if password:
            # Shown at every verbosity, since the password is not stored; and before the benchmark, which
            # may be interrupted.
            self.stdout.write(f"Created the user {ADMIN_NAME} with the password {password} (not stored)")
        else:
            self._step(
                f"The user {ADMIN_NAME} exists already. To set a new password: "
                f"python manage.py changepassword {ADMIN_NAME}",
                verbosity,
            )
        return password

    def _step(self, message: str, verbosity: int) -> None:
        if verbosity:
            self.stdout.write(message)

    def _private_redis_left_as_found(self) -> Any:
        if not settings.USES_PRIVATE_REDIS:
            return nullcontext()
        return private_redis(settings.PRIVATE_REDIS_DIR).left_as_found()
