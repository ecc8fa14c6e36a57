import csv
import errno
import io
import itertools
import os
import pty
import re
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.signals import post_save
from redis.exceptions import ConnectionError as RedisConnectionError

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.selection import EXPERIMENTS
from catalog.benchmarks.report import destinations
from catalog.benchmarks.report.export import from_json, to_json
from catalog.factories import ProductFactory
from catalog.models import Product
from catalog.tests.benchmarks.report.example import example_run
from catalog.tests.conftest import SMALL_MANAGE
from conftest import ROOT, Manage, run_manage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_experiments")]

QUICK = {"effort": "quick", "requests": 3, "warmup": 1}
LATENCY = ("bench_cache", "latency", "--quick", "--requests", "3", "--strategy", "readcache")


def bench(*experiments: str, **options: Any) -> str:
    output = StringIO()
    call_command("bench_cache", *experiments, stdout=output, stderr=StringIO(), **{**QUICK, **options})
    return output.getvalue()


@pytest.fixture
def shelf() -> None:
    ProductFactory.create_batch(5)


@pytest.mark.usefixtures("shelf")
def test_every_experiment_has_tables_and_every_strategy_has_a_verdict() -> None:
    output = bench("latency", "invalidation")

    assert "latency: How fast are repeat requests?" in output
    assert "invalidation: Which writes does a cache notice" in output
    for strategy in ("textbook", "builtin", "readcache"):
        assert re.search(rf"^{strategy} +[\d.*]+ +[\d.*]+", output, re.MULTILINE)
        assert f"{strategy}: a repeat request" in output
    assert "readcache: the next answer shows each of 2 kinds of write, also in a race" in output
    assert "no p99 from 3 samples. Raise --requests to 100." in output


@pytest.mark.usefixtures("shelf")
def test_output_in_a_pipe_has_no_boxes_and_no_colours() -> None:
    assert not set(bench()) & set("─│┃━\x1b")


@pytest.mark.usefixtures("shelf")
def test_json_contains_the_whole_run() -> None:
    run = from_json(bench("latency", format="json", seed=7))

    assert (run.seed, run.products, run.effort) == (7, 5, "quick")
    assert len(run.experiments[0].samples("readcache", "hit", "time")) == 3


@pytest.mark.usefixtures("shelf")
def test_csv_has_a_row_for_each_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(bench("latency", format="csv"))))

    measured = ["uncached", "textbook", "builtin", "readcache", "floor", "floor-get"]
    medians = [row for row in rows if (row["case"], row["name"]) == ("hit", "p50")]
    assert [row["strategy"] for row in medians] == measured
    assert all(0 < float(row["value"]) < 1 for row in medians)
    assert rows[0]["django version"]


@pytest.mark.usefixtures("shelf")
def test_markdown_tables_are_complete() -> None:
    lines = [line for line in bench(format="markdown").splitlines() if line.startswith("|")]

    tables = [list(group) for _, group in itertools.groupby(lines, key=lambda line: line.count("|"))]
    assert len(tables) > 3
    assert all(len(table) > 2 for table in tables)


@pytest.fixture(scope="module")
def stored_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stored run."""
    path = tmp_path_factory.mktemp("stored") / "run.json"
    path.write_text(to_json(example_run()))
    return path


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
def test_every_format_can_go_to_a_file(format: str, stored_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "results"
    target.write_text("old")
    # A stored run is enough to test the formats.
    options = {"effort": None, "requests": None, "warmup": None, "stored": stored_run}

    assert bench(format=format, output=target, **options) == ""
    assert "textbook" in target.read_text()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("shelf")
def test_results_can_be_written_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "results"
    target.write_text("old")

    assert bench("latency", output=target) == ""
    assert "textbook" in target.read_text()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("name", ["missing/results", "."])
def test_an_output_that_cannot_be_written_is_refused_before_the_run(
    name: str, tmp_path: Path, redis: Any
) -> None:
    redis.config_resetstat()

    with pytest.raises(CommandError, match="--output must name a file that can be written") as raised:
        bench(output=tmp_path / name)

    assert raised.value.returncode == 2
    assert "cmdstat_set" not in redis.info("commandstats")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("shelf")
def test_a_run_that_fails_keeps_an_older_output(tmp_path: Path) -> None:
    target = tmp_path / "results"
    target.write_text("old")

    with pytest.raises(CommandError):
        bench(output=target, path="/nowhere/")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("shelf")
def test_a_missed_gate_gives_exit_code_3() -> None:
    holds, missed = "readcache.hit.queries = 0", "readcache.hit.p50 < 1 us"
    bench("latency", gates=[holds])

    with pytest.raises(CommandError, match=r"^Missed: readcache.hit.p50 < 1 us: .*\.$") as raised:
        bench("latency", gates=[holds, missed])
    assert raised.value.returncode == 3


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(("experiment", "is_said"), [("latency", False), ("invalidation", True)])
def test_a_run_announces_where_it_writes(experiment: str, is_said: bool) -> None:
    errors = StringIO()
    call_command("bench_cache", experiment, stdout=StringIO(), stderr=errors, **QUICK)

    said = "writing scratch rows to" in errors.getvalue()
    assert said is is_said
    assert ("keys bench_cache.* to unix://" in errors.getvalue()) is is_said


def test_an_invalid_gate_is_refused_before_the_run() -> None:
    # There are no products, so measuring would fail with another message.
    with pytest.raises(CommandError, match="--fail-under must have") as raised:
        bench(gates=["2"])
    assert raised.value.returncode == 2


@pytest.mark.usefixtures("shelf")
def test_a_gate_on_an_unmeasured_experiment_is_an_error() -> None:
    with pytest.raises(CommandError, match=r"names readcache\.freshness.stale, which was not") as raised:
        bench("latency", gates=["readcache.freshness.stale = 0"])
    assert raised.value.returncode == 2


@pytest.mark.usefixtures("shelf")
def test_a_run_is_compared_with_an_older_one(tmp_path: Path) -> None:
    older = tmp_path / "older.json"
    older.write_text(bench("latency", format="json"))

    run = from_json(bench("latency", format="json", compare=older))

    assert run.changes
    assert "What has changed since the older run?" in bench("latency", compare=older)


@pytest.mark.usefixtures("shelf")
def test_a_full_disk_is_reported_in_one_line_after_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CommandError, match="got /dev/full: No space left on device") as raised:
        bench("latency", output=Path("/dev/full"))
    assert raised.value.returncode == 2

    output = StringIO()
    monkeypatch.setattr(destinations, "to_json", fail)
    with pytest.raises(
        CommandError, match=r"--report must name a folder that can be written, got .*: No space left"
    ):
        call_command("bench_cache", "latency", report=tmp_path / "report", stdout=output, **QUICK)
    assert "readcache: a repeat request" in output.getvalue()
    assert not list(tmp_path.iterdir())


def test_characters_that_the_output_cannot_encode_become_question_marks(small_shop: Manage) -> None:
    done = small_shop(*LATENCY, PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert re.search(r"p99 \S+ +max \S+ +\? (s|ms|\?s) ", done.stdout)


@pytest.mark.usefixtures("shelf")
def test_a_failing_experiment_does_not_lose_the_results_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(options: Any) -> None:
        raise BenchmarkError("A page was wrong.")

    monkeypatch.setattr(EXPERIMENTS["invalidation"], "measure", fail)
    output = StringIO()
    with pytest.raises(CommandError, match=r"^invalidation failed and was left out: A page") as raised:
        call_command("bench_cache", "latency", "invalidation", stdout=output, stderr=StringIO(), **QUICK)
    assert raised.value.returncode == 1
    assert "readcache: a repeat request" in output.getvalue()


@pytest.mark.usefixtures("shelf")
def test_comparing_with_a_run_on_another_machine_warns(tmp_path: Path) -> None:
    older, errors = tmp_path / "older.json", StringIO()
    older.write_text(bench("latency", format="json").replace('"cores": ', '"cores": 9'))

    call_command("bench_cache", "latency", compare=older, stdout=StringIO(), stderr=errors, **QUICK)

    assert "Warning: The older run was made under other conditions: cores 9" in errors.getvalue()


@pytest.mark.parametrize("content", [None, "", "{}"])
def test_an_invalid_older_run_is_refused_before_the_run(content: str | None, tmp_path: Path) -> None:
    older = tmp_path / "older.json"
    if content is not None:
        older.write_text(content)

    with pytest.raises(CommandError, match="--compare must name results stored as JSON") as raised:
        bench(compare=older)
    assert raised.value.returncode == 2


@pytest.mark.usefixtures("small_shop")
def test_results_are_written_although_a_gate_is_missed(
    manage_environment: dict[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "results"
    arguments = [*LATENCY, "--fail-under", "readcache.hit.p50 < 1 us", "--output", str(target)]
    done = run_manage(arguments, manage_environment, program=SMALL_MANAGE)

    assert done.returncode == 3
    assert "readcache" in target.read_text()
    assert done.stderr.startswith("CommandError: Missed: readcache.hit.p50 < 1 us: readcache.hit.p50 is ")


def test_an_empty_catalogue_is_reported_with_the_remedy() -> None:
    with pytest.raises(CommandError, match="The catalogue is empty") as raised:
        bench()
    assert raised.value.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--requests", "0"], "--requests must be at least 1, got 0."),
        (["--seed", "-1"], "--seed must be at least 0, got -1."),
        (["--requests", "x"], "argument --requests: invalid int value: 'x'"),
        (["--fail-under", "-1"], "--fail-under must have two operands"),
        (["--fail-under", "readcahe.hit.p50 < 1"], "names readcahe, which this run does not measure."),
        (["--path", "/products/?search=ä b"], "Try --path '/products/?search=%C3%A4%20b'"),
        (["--path", "/products/#top"], "--path must be as browsers send it, got '/products/#top'."),
        (["--strategy", "magic"], "--strategy must be one of uncached, textbook, builtin, readcache"),
        (["--quick", "--thorough"], "argument --thorough: not allowed with argument --quick"),
        (["magic"], "EXPERIMENT must be one of latency,"),
        (["latency", "--path", "/nowhere/"], "/uncached/nowhere/ answered 404"),
        (["--bogus"], "unrecognized arguments: --bogus"),
    ],
)
def test_bad_options_end_with_the_code_for_usage(
    arguments: list[str], message: str, manage: Manage, request: pytest.FixtureRequest
) -> None:
    # All other errors are found without a database.
    if "/nowhere/" in arguments:
        request.getfixturevalue("small_shop")
    done = manage("bench_cache", *arguments)

    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    # A run that is refused does not announce that it writes.
    assert "writing rows" not in done.stderr


def test_an_unreachable_redis_is_reported_in_one_line(small_shop: Manage) -> None:
    done = small_shop(*LATENCY, REDIS_URL="redis://127.0.0.1:1/1")

    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: Cannot reach Redis at redis://127.0.0.1:1/1.")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("small_shop")
def test_the_benchmark_runs_with_debug_off_and_https_on(manage_environment: dict[str, str]) -> None:
    production = {"HTTPS": "on", "SECRET_KEY": "x", "ALLOWED_HOSTS": "shop.example.com"}
    done = run_manage(LATENCY, manage_environment | production, program=SMALL_MANAGE)

    assert done.returncode == 0, done.stderr
    assert "readcache: a repeat request " in done.stdout


def test_help_names_every_default_and_shows_examples(manage: Manage) -> None:
    text = manage("bench_cache", "--help").stdout

    for option in (
        "EXPERIMENT",
        "--strategy",
        "--quick",
        "--path",
        "--requests",
        "--compare",
        "--fail-under",
    ):
        described = re.search(rf"{option}\b.*?\(default: [^)]+\)", text, re.DOTALL)
        assert described, option
    assert "python manage.py bench_cache latency --path" in text


@pytest.mark.usefixtures("small_shop")
def test_a_terminal_shows_rules_a_progress_bar_and_colours(manage_environment: dict[str, str]) -> None:
    output = in_terminal([*SMALL_MANAGE, *LATENCY], manage_environment)

    assert "─" in output
    assert "Measuring" in output
    assert "\x1b[1m" in output
    assert "readcache: a repeat request" in output


def test_no_color_turns_the_colours_off(manage_environment: dict[str, str], tmp_path: Path) -> None:
    stored = tmp_path / "run.json"
    stored.write_text(to_json(example_run()))
    arguments = ["manage.py", "bench_cache", "--from", str(stored)]

    assert "\x1b[1m" in in_terminal(arguments, manage_environment)
    assert "\x1b[1m" not in in_terminal(arguments, manage_environment | {"NO_COLOR": "1"})


def in_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100"},
        cwd=ROOT,
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    chunks = []
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # Linux's end of file on a terminal
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(parent)
    assert process.wait(timeout=60) == 0
    return b"".join(chunks).decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_with_its_exit_code_and_without_a_traceback(
    number: signal.Signals, small_shop: Manage, manage_environment: dict[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "results"
    process = subprocess.Popen(
        [
            *(
                sys.executable,
                str(ROOT / "manage.py"),
                "bench_cache",
                "latency",
                "--simulate-latency",
                "0.05",
            ),
            *("--output", str(target), "--requests", "100000"),
        ],
        env=manage_environment,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The draft of the output exists as soon as the run measures.
    while not list(tmp_path.glob(".results*")):
        assert process.poll() is None
        time.sleep(0.01)  # Leave the processor to the run.
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    said = "Interrupted.\n" if number == signal.SIGINT else "Terminated.\n"
    assert errors.splitlines(keepends=True) == [said]
    assert process.returncode == 128 + number
    assert not list(tmp_path.glob("*results*"))


@pytest.mark.usefixtures("shelf")
def test_a_redis_that_fails_during_a_run_is_reported_in_one_line() -> None:
    def fail(**kwargs: Any) -> None:
        # django-redis raises the cause in the handler of its effect, so the contexts form a circle.
        error, interrupted = RedisConnectionError("gone"), RuntimeError()
        error.__context__, interrupted.__context__ = interrupted, error
        raise error

    post_save.connect(fail, sender=Product)
    try:
        with pytest.raises(CommandError, match=r"The private Redis at .* does not answer"):
            bench()
    finally:
        post_save.disconnect(fail, sender=Product)
