"""Does every answer show all that was acknowledged before it was asked for?

Measures: answers of real servers (gunicorn, several processes with threads) over HTTP, while other
processes write in every way there is, rolled-back ways too, on products made for it. Each fact
that an answer shows (a price, a stock, a product's tags, the name of its category and of a tag)
counts a version up with each write. A writer records a version as acknowledged when its write has
returned; a reader notes what is acknowledged, asks, and compares: a lower version is stale, and a
value that was only ever rolled back is uncommitted data. A hit is an answer without a query.
Leaves out: times of answers, and writes that the processes of Django do not see. Writers wait for
some reads between two writes, so the share of hits says nothing about the speed of the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import mmap
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django_redis.client.default import glob_escape

from catalog.benchmarks.client import BenchmarkError
from catalog.benchmarks.isolation import interrupts_deferred, terminating_like_ctrl_c
from catalog.benchmarks.strategies import READ_CACHE, STRATEGIES, TEXTBOOK, Strategy, only_invalidation_of
from catalog.cached_pages import page_pattern, redis_client, scan_batches
from catalog.caching import engine
from catalog.models import Category, Product, Tag
from catalog.options import InvalidOption, require_at_least
from catalog.textbook import PRODUCT_PREFIX

PRODUCTS_PER_WRITER = 2
# All products of a soak are on one page of the list.
MAX_WRITERS = 50
MAX_WRITES = 50_000
MAX_SECONDS = 3600
# Versions from here on are of writes that are rolled back.
POISON = 1_000_000
TAG_BITS = 16
# The facts of one product, by their place among its registers.
PRICE, STOCK, TAGS = range(3)
LIST_SHARE = 0.3
THREADS_PER_WORKER = 2

QUERIES_HEADER = "X-Queries"
REQUEST_TIMEOUT_SECONDS = 30
EXIT_PATIENCE_SECONDS = 30
POLL_SECONDS = 0.001
WORK = "import django; django.setup(); from catalog.benchmarks import freshness; freshness.work()"
SERVER_CONFIG = """\
import signal

# Ends the server even where the soak was killed.
signal.alarm({limit})


def post_worker_init(worker):
    from catalog.benchmarks.freshness import counting_queries

    worker.wsgi = counting_queries(worker.wsgi)
"""


@dataclass(frozen=True, kw_only=True)
class FreshnessResult:
    """``stale_reads`` and ``uncommitted_reads`` count answers.

    ``oldest_stale_seconds`` is the longest time for which a write had been acknowledged when an
    answer was asked for that did not show it.
    """

    strategy: str
    reads: int
    hits: int
    writes: int
    rollbacks: int
    stale_reads: int
    uncommitted_reads: int
    oldest_stale_seconds: float

    @property
    def hit_share(self) -> float:
        return self.hits / self.reads

    @property
    def is_fresh(self) -> bool:
        return not self.stale_reads and not self.uncommitted_reads


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """One writer's products with their category and tags, by primary key.

    ``first`` is the place of its first register: three for each product, one for the category's
    name and one for the name of ``label``, a tag that all its products have. The set of ``bits``
    that a product has is the version of its tags.
    """

    mark: str
    number: int
    first: int
    products: list[int]
    category: int
    label: int
    bits: list[int]
    poison: int

    @property
    def category_register(self) -> int:
        return self.first + 3 * len(self.products)

    @property
    def label_register(self) -> int:
        return self.category_register + 1

    def register(self, place: int, fact: int) -> int:
        return self.first + 3 * place + fact

    def name(self, kind: str, version: int) -> str:
        return _name(self.mark, f"{kind}{self.number}", version)


REGISTERS_PER_SHELF = 3 * PRODUCTS_PER_WRITER + 2


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one process is to do. ``board`` is the file of the numbers that all of them share.

    On the board is the acknowledged version of each register, and then each reader's number of reads.
    """

    reads: bool
    number: int
    strategy: str
    seed: int
    seconds: float
    port: int
    readers: int
    board: str
    shelves: list[Shelf]


def measure_freshness(
    *,
    strategies: Sequence[str] = (TEXTBOOK.name, READ_CACHE.name),
    seconds: float = 5,
    readers: int = 4,
    writers: int = 2,
    workers: int = 2,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[FreshnessResult]:
    """One strategy after the other, each on servers of its own; what was made is removed.

    ``on_progress`` is called with 1 after each. Raises ``InvalidOption`` and ``BenchmarkError``.
    """
    chosen = [_find_strategy(name) for name in dict.fromkeys(strategies)]
    require_at_least("--seconds", seconds, 0.1)
    for option, value in (("--readers", readers), ("--writers", writers), ("--workers", workers)):
        require_at_least(option, value, 1)
    if seconds > MAX_SECONDS:
        raise InvalidOption(f"--seconds must be at most {MAX_SECONDS}, got {seconds}.")
    if writers > MAX_WRITERS:
        raise InvalidOption(f"--writers must be at most {MAX_WRITERS}, got {writers}.")
    results = []
    for strategy in chosen:
        with (
            terminating_like_ctrl_c(),
            _shelves(writers) as shelves,
            _server(strategy, shelves, workers, seconds) as server,
        ):
            results.append(_soak(strategy, shelves, server, seconds=seconds, readers=readers, seed=seed))
        on_progress(1)
    return results


def _find_strategy(name: str) -> Strategy:
    if name not in STRATEGIES:
        raise InvalidOption(f"--strategy must be one of {', '.join(STRATEGIES)}, got {name!r}.")
    return STRATEGIES[name]


# What the soak makes and removes


@contextmanager
def _shelves(writers: int) -> Iterator[list[Shelf]]:
    """Categories, tags and products of the soak's own, which are gone at the end."""
    mark = f"freshness-soak-{uuid.uuid4().hex[:8]}"
    try:
        with transaction.atomic():
            bits = [Tag.objects.create(name=_name(mark, "bit", bit)).pk for bit in range(TAG_BITS)]
            poison = Tag.objects.create(name=_name(mark, "bit", POISON)).pk
            shelves = [_fill_shelf(mark, number, bits, poison) for number in range(writers)]
        yield shelves
    finally:
        with interrupts_deferred(), transaction.atomic():
            Product.objects.filter(category__slug__startswith=f"{mark}_").delete()
            Category.objects.filter(slug__startswith=f"{mark}_").delete()
            Tag.objects.filter(name__startswith=f"{mark}_").delete()


def _fill_shelf(mark: str, number: int, bits: list[int], poison: int) -> Shelf:
    name = f"{mark.capitalize().replace('-', ' ')} #{number + 1}"
    category_name = _name(mark, f"category{number}", 0)
    category = Category.objects.create(name=category_name, slug=category_name)
    label = Tag.objects.create(name=_name(mark, f"label{number}", 0))
    products = [
        Product.objects.create(name=f"{name}.{place + 1}", price=0, stock=1, category=category)
        for place in range(PRODUCTS_PER_WRITER)
    ]
    label.products.set(products)
    return Shelf(
        mark=mark,
        number=number,
        first=number * REGISTERS_PER_SHELF,
        products=[product.pk for product in products],
        category=category.pk,
        label=label.pk,
        bits=bits,
        poison=poison,
    )


def _name(mark: str, kind: str, number: int) -> str:
    return f"{mark}_{kind}_{number}"


@dataclass(frozen=True, kw_only=True)
class _Server:
    process: _Process
    port: int

    def wait_until_ready(self, url: str) -> None:
        """The request waits in the queue of the socket until a worker is there to answer it."""
        try:
            with contextlib.closing(_Visitor(self.port)) as visitor:
                answer = visitor.get(url)
        except (OSError, http.client.HTTPException) as error:
            raise self.process.failed() from error
        if answer.status != 200:
            raise BenchmarkError(f"{url} answered {answer.status}, not 200. {self.process.last_words()}")


@contextmanager
def _server(strategy: Strategy, shelves: Sequence[Shelf], workers: int, seconds: float) -> Iterator[_Server]:
    """Serves the shop on a port of 127.0.0.1 inside; removes the pages that were cached of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, TemporaryDirectory() as folder:
        port = listener.getsockname()[1]
        config = Path(folder) / "gunicorn.conf.py"
        config.write_text(SERVER_CONFIG.format(limit=int(seconds) + 4 * EXIT_PATIENCE_SECONDS))
        command = ["-m", "gunicorn", "shop.wsgi", "--config", str(config), "--no-control-socket"]
        command += ["--bind", f"fd://{listener.fileno()}", "--workers", str(workers)]
        command += ["--worker-class", "gthread", "--threads", str(THREADS_PER_WORKER)]
        fds = [listener.fileno()]
        try:
            # SIGQUIT is gunicorn's word for ending at once; nobody waits for an answer any more.
            with _process(command, Path(folder) / "log", pass_fds=fds, end_by=signal.SIGQUIT) as process:
                # From here on a server that ended refuses connections.
                listener.close()
                yield _Server(process=process, port=port)
        finally:
            with interrupts_deferred():
                _remove_pages(port, [strategy.url(page) for page in _pages(shelves)])


def _pages(shelves: Sequence[Shelf]) -> list[str]:
    """The list of all products of the soak, and each product."""
    search = urlencode({"search": shelves[0].mark.rpartition("-")[2], "page_size": 100})
    keys = [key for shelf in shelves for key in shelf.products]
    return [f"/products/?{search}", *(f"/products/{key}/" for key in keys)]


def _remove_pages(port: int, urls: Sequence[str]) -> None:
    """What servers on this port left in both caches: the engine names the port, cache_page a digest."""
    store, host = engine.store(), f"*//127.0.0.1:{port}/*"
    for start in (store.entry_key(""), store.lock_key("")):
        for batch in scan_batches(redis_client(engine.ALIAS), f"{glob_escape(start)}{host}"):
            redis_client(engine.ALIAS).unlink(*batch)
    full = [f"http://127.0.0.1:{port}{url}".encode() for url in urls]
    digests = [hashlib.md5(url, usedforsecurity=False).hexdigest().encode() for url in full]
    for batch in scan_batches(redis_client(), page_pattern(PRODUCT_PREFIX)):
        if own := [key for key in batch if any(digest in key for digest in digests)]:
            redis_client().unlink(*own)


# Processes


class _Process:
    """A Python process of the soak's own, in the shop's folder, with the settings of this one."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        pass_fds: Sequence[int] = (),
        end_by: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._log = log
        self._end_by = end_by
        with log.open("wb") as stderr:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=settings.BASE_DIR,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                pass_fds=pass_fds,
                # Ctrl-C is for this process, which ends the others.
                start_new_session=True,
            )

    def last_words(self) -> str:
        return "".join(self._log.read_text(errors="replace").strip().splitlines()[-1:]) or "It said nothing."

    def failed(self) -> BenchmarkError:
        return BenchmarkError(f"A process of the soak failed. {self.last_words()}")

    def send(self, line: str) -> None:
        if self.popen.stdin is None:
            raise self.failed()
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.write(f"{line}\n")
            self.popen.stdin.flush()

    def wait_until_ready(self) -> None:
        if self.popen.stdout is None or self.popen.stdout.readline() != "ready\n":
            self.popen.wait()
            raise self.failed()

    def report(self, *, timeout_seconds: float) -> Any:
        try:
            output, _ = self.popen.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(
                f"A process of the soak did not end within {timeout_seconds:g} s. {self.last_words()}"
            ) from None
        if self.popen.returncode:
            raise self.failed()
        return json.loads(output)

    def end(self) -> None:
        """The signal, and then SIGKILL for whatever of its session does not listen.

        A server's worker can outlive it, and would keep its output open for ever.
        """
        self.popen.send_signal(self._end_by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=EXIT_PATIENCE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.communicate()


@contextmanager
def _process(arguments: Sequence[str], log: Path, **options: Any) -> Iterator[_Process]:
    process = _Process(arguments, log, **options)
    try:
        yield process
    finally:
        with interrupts_deferred():
            process.end()


def _environment() -> dict[str, str]:
    """The database and the Redis of this process, also where they are those of a test run."""
    private = settings.USES_PRIVATE_REDIS
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "DEBUG": "off",
        "HTTPS": "off",
        "TEXTBOOK": "on",
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECRET_KEY": settings.SECRET_KEY,
        "DATABASE_URL": _database_url(),
        "PRIVATE_REDIS_DIR": str(settings.PRIVATE_REDIS_DIR),
        "REDIS_URL": "" if private else settings.REDIS_URL,
        "READ_REDIS_URL": "" if private else settings.READ_REDIS_URL,
        "SIMULATED_LATENCY_SECONDS": str(settings.SIMULATED_LATENCY_SECONDS),
        "READ_CACHE_LEASE_SECONDS": str(engine.lease_seconds()),
    }


def _database_url() -> str:
    database = connection.settings_dict
    name = str(database["NAME"])
    if connection.vendor == "sqlite":
        if ":memory:" in name or "mode=memory" in name:
            raise BenchmarkError("The soak's processes cannot share a database in memory. Use a file.")
        return f"sqlite:///{quote(name)}"
    user, password, host = (quote(str(database[key]), safe="") for key in ("USER", "PASSWORD", "HOST"))
    port = f":{database['PORT']}" if database["PORT"] else ""
    return f"postgres://{user}:{password}@{host}{port}/{quote(name, safe='')}"


# The soak


def _soak(
    strategy: Strategy, shelves: list[Shelf], server: _Server, *, seconds: float, readers: int, seed: int
) -> FreshnessResult:
    with TemporaryDirectory() as folder, ExitStack() as processes:
        board = Path(folder) / "board"
        board.write_bytes(bytes(8 * (len(shelves) * REGISTERS_PER_SHELF + readers)))
        running = []
        for number in range(len(shelves) + readers):
            reads = number >= len(shelves)
            task = Task(
                reads=reads,
                number=number - len(shelves) if reads else number,
                strategy=strategy.name,
                seed=seed,
                seconds=seconds,
                port=server.port,
                readers=readers,
                board=str(board),
                shelves=shelves,
            )
            process = processes.enter_context(_process(["-c", WORK], Path(folder) / f"log-{number}"))
            process.send(json.dumps(asdict(task)))
            running.append(process)
        # It starts while they do.
        server.wait_until_ready(strategy.url(_pages(shelves)[0]))
        for process in running:
            process.wait_until_ready()
        for process in running:
            process.send("go")
        reports = [process.report(timeout_seconds=seconds + EXIT_PATIENCE_SECONDS) for process in running]
    return _sum_up(strategy, reports[: len(shelves)], reports[len(shelves) :])


def _sum_up(strategy: Strategy, written: Sequence[Any], read: Sequence[Any]) -> FreshnessResult:
    reads = sum(report["reads"] for report in read)
    if not reads:
        raise BenchmarkError("Not one answer was read. Try more --seconds.")
    acknowledged_ns = {
        (register, version): ns for report in written for register, version, ns in report["acknowledged"]
    }
    # What is missing first of a stale answer is the write after the one that it shows.
    ages_ns = [
        asked_ns - acknowledged_ns[register, version + 1]
        for report in read
        for register, version, asked_ns in report["stale"]
    ]
    return FreshnessResult(
        strategy=strategy.name,
        reads=reads,
        hits=sum(report["hits"] for report in read),
        writes=sum(report["writes"] for report in written),
        rollbacks=sum(report["rollbacks"] for report in written),
        stale_reads=sum(report["stale_reads"] for report in read),
        uncommitted_reads=sum(report["uncommitted_reads"] for report in read),
        oldest_stale_seconds=max(ages_ns, default=0) / 1_000_000_000,
    )


def work() -> None:
    """What a writer's or reader's process runs: the task comes by stdin, the report goes to stdout."""
    given = json.loads(sys.stdin.readline())
    task = Task(**{**given, "shelves": [Shelf(**shelf) for shelf in given["shelves"]]})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        return
    with (
        Path(task.board).open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as memory,
        memoryview(memory).cast("q") as board,
    ):
        report = _read(task, board) if task.reads else _write(task, board)
    json.dump(report, sys.stdout)


def counting_queries(application: Callable[..., Any]) -> Callable[..., Any]:
    """The WSGI application, whose answers say how many queries they took."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        queries = 0

        def count(execute: Callable[..., Any], *arguments: Any) -> Any:
            nonlocal queries
            queries += 1
            return execute(*arguments)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, (QUERIES_HEADER, str(queries))], *rest)

        with connection.execute_wrapper(count):
            return application(environ, start)

    return answer


# Readers


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    queries: int
    body: bytes


class _Visitor:
    """A visitor with a connection that is kept open as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_SECONDS)

    def get(self, url: str) -> _Answer:
        try:
            return self._get(url)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The server has closed a connection that was kept; asking later is asking of no less.
            self._connection.close()
            return self._get(url)

    def close(self) -> None:
        self._connection.close()

    def _get(self, url: str) -> _Answer:
        self._connection.request("GET", url, headers={"Accept": "application/json"})
        response = self._connection.getresponse()
        body = response.read()
        queries = int(response.headers.get(QUERIES_HEADER, -1))
        return _Answer(status=response.status, queries=queries, body=body)


def _read(task: Task, board: memoryview[int]) -> dict[str, Any]:
    chance = random.Random(f"{task.seed} reader {task.number}")
    visitor, strategy = _Visitor(task.port), _find_strategy(task.strategy)
    listing, *details = (strategy.url(page) for page in _pages(task.shelves))
    own_place = len(board) - task.readers + task.number
    seen = {"reads": 0, "hits": 0, "stale_reads": 0, "uncommitted_reads": 0}
    stale: dict[tuple[int, int], int] = {}
    deadline = time.monotonic() + task.seconds
    while time.monotonic() < deadline:
        url = listing if chance.random() < LIST_SHARE else chance.choice(details)
        floors = list(board)
        asked_ns = time.monotonic_ns()
        answer = visitor.get(url)
        if answer.status != 200:
            raise BenchmarkError(f"{url} answered {answer.status}, not 200.")
        shown = _shown(json.loads(answer.body), task.shelves)
        behind = {(register, version) for register, version in shown.items() if version < floors[register]}
        stale |= dict.fromkeys(behind, asked_ns)
        seen["reads"] += 1
        seen["hits"] += answer.queries == 0
        seen["stale_reads"] += bool(behind)
        seen["uncommitted_reads"] += any(version >= POISON for version in shown.values())
        board[own_place] = seen["reads"]
    return {**seen, "stale": [[*key, ns] for key, ns in stale.items()]}


def _shown(body: Any, shelves: Sequence[Shelf]) -> dict[int, int]:
    """The version of each register that the answer shows. A product that is missing has version -1."""
    shown: dict[int, int] = {}
    if "results" in body:
        for shelf in shelves:
            for place in range(len(shelf.products)):
                shown |= {shelf.register(place, fact): -1 for fact in (PRICE, STOCK, TAGS)}
    places = {key: (shelf, place) for shelf in shelves for place, key in enumerate(shelf.products)}
    for row in body.get("results", [body]):
        shelf, place = places[row["id"]]
        shown |= _shown_by_product(row, shelf, place)
    return shown


def _shown_by_product(row: Any, shelf: Shelf, place: int) -> dict[int, int]:
    parsed = [name.rsplit("_", 2)[1:] for name in row["tags"]]
    numbers = {kind: int(number) for kind, number in parsed if kind != "bit"}
    bits = [int(number) for kind, number in parsed if kind == "bit"]
    return {
        shelf.register(place, PRICE): int(Decimal(row["price"])),
        shelf.register(place, STOCK): row["stock"] - 1,
        shelf.register(place, TAGS): POISON if POISON in bits else _ungray(sum(1 << bit for bit in bits)),
        shelf.category_register: int(row["category"].rpartition("_")[2]),
        shelf.label_register: numbers.get(f"label{shelf.number}", -1),
    }


def _gray(version: int) -> int:
    """Reflected binary code (Gray, US patent 2632058): from one version to the next one bit changes."""
    return version ^ (version >> 1)


def _ungray(code: int) -> int:
    version = 0
    while code:
        version ^= code
        code >>= 1
    return version


# Writers


class _Undo(Exception):
    """Rolls the transaction back that it leaves."""


class _Writer:
    """Counts the versions of one shelf's registers. A write takes the next ones of what it changes."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._versions: dict[int, int] = {}
        self._taken: dict[int, int] = {}

    def next_version(self, register: int) -> int:
        self._taken[register] = self._versions.get(register, 0) + 1
        return self._taken[register]

    def acknowledged(self) -> dict[int, int]:
        """The versions that were taken since this was asked last."""
        taken, self._taken = self._taken, {}
        self._versions |= taken
        return taken

    def next_price(self, place: int) -> int:
        return self.next_version(self.shelf.register(place, PRICE))

    def row(self, place: int) -> Any:
        return Product.objects.filter(pk=self.shelf.products[place])

    def next_tags(self, place: int) -> list[int]:
        code = _gray(self.next_version(self.shelf.register(place, TAGS)))
        return [self.shelf.label, *(key for bit, key in enumerate(self.shelf.bits) if code >> bit & 1)]


def _save(writer: _Writer, place: int) -> None:
    product = writer.row(place).get()
    product.price = writer.next_price(place)
    product.save()


def _update(writer: _Writer, place: int) -> None:
    writer.row(place).update(price=writer.next_price(place))


def _bulk_update(writer: _Writer, place: int) -> None:
    products = [writer.row(each).get() for each in range(len(writer.shelf.products))]
    for each, product in enumerate(products):
        product.price = Decimal(writer.next_price(each))
    Product.objects.bulk_update(products, ["price"])


def _add_one(writer: _Writer, place: int) -> None:
    writer.next_version(writer.shelf.register(place, STOCK))
    writer.row(place).update(stock=F("stock") + 1)


def _save_expression(writer: _Writer, place: int) -> None:
    writer.next_version(writer.shelf.register(place, STOCK))
    product = writer.row(place).get()
    product.stock = F("stock") + 1
    product.save(update_fields=["stock"])


def _run_sql(writer: _Writer, place: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalog_product SET price = %s WHERE id = %s",
            [writer.next_price(place), writer.shelf.products[place]],
        )


def _set_tags(writer: _Writer, place: int) -> None:
    writer.row(place).get().tags.set(writer.next_tags(place))


def _add_or_remove_a_tag(writer: _Writer, place: int) -> None:
    tags = writer.row(place).get().tags
    had, has = {tag.pk for tag in tags.all()}, set(writer.next_tags(place))
    if has > had:
        tags.add(*(has - had))
    else:
        tags.remove(*(had - has))


def _replace_tags(writer: _Writer, place: int) -> None:
    tags = writer.row(place).get().tags
    with transaction.atomic():
        tags.clear()
        tags.add(*writer.next_tags(place))


def _rename_category(writer: _Writer, place: int) -> None:
    shelf = writer.shelf
    category = Category.objects.get(pk=shelf.category)
    category.name = category.slug = shelf.name("category", writer.next_version(shelf.category_register))
    category.save()


def _rename_label(writer: _Writer, place: int) -> None:
    shelf = writer.shelf
    name = shelf.name("label", writer.next_version(shelf.label_register))
    Tag.objects.filter(pk=shelf.label).update(name=name)


def _write_together(writer: _Writer, place: int) -> None:
    with transaction.atomic():
        _save(writer, place)
        _add_one(writer, place)
        _set_tags(writer, place)
        _rename_category(writer, place)


def _roll_back_savepoint_first(writer: _Writer, place: int) -> None:
    with transaction.atomic():
        _roll_back(writer, place)
        _update(writer, place)


def _roll_back_savepoint_last(writer: _Writer, place: int) -> None:
    with transaction.atomic():
        _update(writer, place)
        _roll_back(writer, place)


def _roll_back(writer: _Writer, place: int) -> None:
    """A transaction, or a savepoint inside of one, that writes everywhere and is rolled back."""
    shelf, row = writer.shelf, writer.row(place)
    with contextlib.suppress(_Undo), transaction.atomic():
        row.update(price=POISON, stock=F("stock") + POISON)
        row.get().tags.add(shelf.poison)
        Category.objects.filter(pk=shelf.category).update(slug=shelf.name("category", POISON))
        Tag.objects.filter(pk=shelf.label).update(name=shelf.name("label", POISON))
        raise _Undo


KINDS: tuple[Callable[[_Writer, int], None], ...] = (
    _save,
    _update,
    _bulk_update,
    _add_one,
    _save_expression,
    _run_sql,
    _set_tags,
    _add_or_remove_a_tag,
    _replace_tags,
    _rename_category,
    _rename_label,
    _write_together,
    _roll_back_savepoint_first,
    _roll_back_savepoint_last,
    _roll_back,
)


def _write(task: Task, board: memoryview[int]) -> dict[str, Any]:
    chance = random.Random(f"{task.seed} writer {task.number}")
    writer = _Writer(task.shelves[task.number])
    acknowledged: list[tuple[int, int, int]] = []
    report = {"writes": 0, "rollbacks": 0}
    deadline = time.monotonic() + task.seconds
    with only_invalidation_of(_find_strategy(task.strategy)):
        while report["writes"] < MAX_WRITES and _wait_for_reads(task, board, chance, deadline):
            kind = chance.choice(KINDS)
            kind(writer, chance.randrange(PRODUCTS_PER_WRITER))
            now_ns = time.monotonic_ns()
            for register, version in writer.acknowledged().items():
                acknowledged.append((register, version, now_ns))
                board[register] = version
            report["rollbacks" if kind is _roll_back else "writes"] += 1
    return {**report, "acknowledged": acknowledged}


def _wait_for_reads(task: Task, board: memoryview[int], chance: random.Random, deadline: float) -> bool:
    """Whether there is time for another write.

    A write makes every page of the soak dead. With four reads of each page for one write, on
    average, most reads can be hits, on a slow machine too; now and then writes follow at once.
    """
    pages = 1 + len(task.shelves) * PRODUCTS_PER_WRITER
    pause = chance.randrange(8 * pages * len(task.shelves))
    goal = _count_reads(task, board) + pause
    while _count_reads(task, board) < goal:
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return time.monotonic() < deadline


def _count_reads(task: Task, board: memoryview[int]) -> int:
    return sum(list(board)[-task.readers :])
