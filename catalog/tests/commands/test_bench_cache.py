import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.signals import post_save
from redis.exceptions import ConnectionError as RedisConnectionError

from catalog.benchmarks.export import SCHEMA_VERSION
from catalog.factories import ProductFactory
from catalog.models import Product
from conftest import ROOT, Manage

pytestmark = pytest.mark.django_db(transaction=True)

QUICK = {"requests": 3, "warmup": 1}


def bench(**options: Any) -> str:
    output = StringIO()
    call_command("bench_cache", stdout=output, stderr=StringIO(), **{**QUICK, **options})
    return output.getvalue()


@pytest.fixture
def shelf() -> None:
    ProductFactory.create_batch(5)


@pytest.fixture
def small_shop(manage: Manage) -> Manage:
    """A database with some products, for commands in processes of their own."""
    assert manage("migrate", "-v0").returncode == 0
    assert manage("seed_products", "--count", "40", "-v0").returncode == 0
    return manage


@pytest.mark.usefixtures("shelf")
def test_the_table_has_a_row_a_strategy_and_a_verdict() -> None:
    output = bench(requests=30)

    times = r"( +[\d.,]+){4} +n/a +[\d.,]+ +[\d,]+"
    assert re.search(rf"^uncached{times}  1 \(baseline\) +[\d.]+$", output, re.MULTILINE)
    assert re.search(rf"^floor \+ GET{times} +1.00$", output, re.MULTILINE)
    for strategy in ("textbook", "readcache"):
        assert re.search(rf"^{strategy}{times} +[\d.]+ +[\d.]+$", output, re.MULTILINE)
        assert re.search(rf"^{strategy} +[\d.]+ +[\d.]+  fresh, cold +[\d.]+  warm$", output, re.MULTILINE)
        assert f"{strategy}: a repeat request is" in output
        assert f"{strategy}: the answer after a save was fresh every time" in output
    assert "no p99 from 30 samples. Raise --requests to 100." in output


@pytest.mark.usefixtures("shelf")
def test_a_pipe_gets_no_boxes_and_no_colours() -> None:
    assert not set(bench()) & set("─│┃━\x1b")


@pytest.mark.usefixtures("shelf")
def test_json_has_every_sample_and_what_it_was_measured_on() -> None:
    run = json.loads(bench(format="json", seed=7))

    assert run["schema_version"] == SCHEMA_VERSION
    assert (run["seed"], run["requests"], run["products"]) == (7, 3, 5)
    assert {"python", "django", "redis server"} < set(run["environment"]["versions"])
    assert run["environment"]["cores"] >= 1
    for result in run["latency"]:
        assert len(result["repeat_seconds"]) == 3
        assert 0 < result["summary_seconds"]["min"] <= result["summary_seconds"]["p50"] < 1
    assert run["latency"][0]["speedup"] is None
    assert run["latency"][1]["speedup"]["ratio"] > 0
    assert run["invalidation"][1]["rounds"][0]["next_fresh"] is True


@pytest.mark.usefixtures("shelf")
def test_csv_has_a_row_a_sample() -> None:
    rows = list(csv.DictReader(io.StringIO(bench(format="csv"))))

    measured = ["uncached", "textbook", "readcache", "floor", "floor + GET"]
    repeats = [row for row in rows if row["measurement"] == "repeat"]
    assert [row["strategy"] for row in repeats] == [name for name in measured for _ in range(3)]
    assert all(0 < float(row["seconds"]) < 1 for row in rows)
    assert {row["seed"] for row in rows} == {"0"}
    assert rows[0]["django version"]


@pytest.mark.usefixtures("shelf")
def test_markdown_has_whole_tables() -> None:
    lines = [line for line in bench(format="markdown").splitlines() if line.startswith("|")]

    assert [line.count("|") for line in lines] == [11] * 7 + [7] * 5


@pytest.mark.usefixtures("shelf")
def test_svg_is_a_picture_that_loads_nothing() -> None:
    picture = bench(format="svg")

    assert ET.fromstring(picture).tag.endswith("svg")
    assert not re.findall(r"(?:href|src|url)\W+https?:", picture)
    assert "textbook" in picture


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown", "svg"])
def test_every_format_can_go_to_a_file(format: str, tmp_path: Path) -> None:
    target = tmp_path / "results"
    target.write_text("old")

    assert bench(format=format, output=target) == ""
    assert "textbook" in target.read_text()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("name", ["missing/results", "."])
def test_an_unwritable_output_is_known_before_the_work(name: str, tmp_path: Path, redis: Any) -> None:
    redis.config_resetstat()

    with pytest.raises(CommandError, match="--output must be a file that can be written") as raised:
        bench(output=tmp_path / name)

    assert raised.value.returncode == 2
    assert "cmdstat_set" not in redis.info("commandstats")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("shelf")
def test_a_failing_run_leaves_an_older_output_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "results"
    target.write_text("old")

    with pytest.raises(CommandError):
        bench(output=target, path="/nowhere/")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("shelf")
def test_fail_under_decides_the_exit_code() -> None:
    bench(fail_under=0)

    with pytest.raises(CommandError, match=r"textbook is .* --fail-under asks for 1e\+06") as raised:
        bench(fail_under=1e6)
    assert raised.value.returncode == 3


def test_results_are_written_even_where_fail_under_is_missed(small_shop: Manage, tmp_path: Path) -> None:
    target = tmp_path / "results"
    done = small_shop("bench_cache", "--requests", "3", "--fail-under", "1e6", "--output", str(target))

    assert done.returncode == 3
    assert "textbook" in target.read_text()


def test_without_products_it_says_how_to_get_some() -> None:
    with pytest.raises(CommandError, match="The catalogue is empty") as raised:
        bench()
    assert raised.value.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--requests", "0"], "--requests must be at least 1, got 0."),
        (["--requests", "x"], "argument --requests: invalid int value: 'x'"),
        (["--fail-under", "-1"], "--fail-under must be at least 0, got -1.0."),
        (["--strategy", "magic"], "invalid choice: 'magic'"),
        (["--path", "/nowhere/"], "/uncached/nowhere/ answered 404"),
        (["--bogus"], "unrecognized arguments: --bogus"),
    ],
)
def test_bad_options_end_with_the_code_for_usage(arguments: list[str], message: str, manage: Manage) -> None:
    if "--path" in arguments:
        manage("migrate", "-v0")
    done = manage("bench_cache", *arguments)

    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_an_unreachable_redis_is_one_line(small_shop: Manage) -> None:
    done = small_shop("bench_cache", REDIS_URL="redis://127.0.0.1:1/1")

    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: Cannot reach Redis at redis://127.0.0.1:1/1.")
    assert len(done.stderr.splitlines()) == 1


def test_with_debug_off_and_https_on_it_measures_all_the_same(small_shop: Manage) -> None:
    done = small_shop(
        "bench_cache", "--requests", "3", HTTPS="on", SECRET_KEY="x", ALLOWED_HOSTS="shop.example.com"
    )

    assert done.returncode == 0, done.stderr
    assert "textbook: the answer after a save was fresh every time" in done.stdout


def test_help_names_every_default_and_shows_examples(manage: Manage) -> None:
    text = manage("bench_cache", "--help").stdout

    for option in ("--requests", "--warmup", "--seed", "--path", "--strategy", "--format", "--output"):
        described = re.search(rf"{option}\b.*?\(default: [^)]+\)", text, re.DOTALL)
        assert described, option
    assert "python manage.py bench_cache --path" in text


def test_on_a_terminal_there_are_boxes_a_bar_and_colours(
    small_shop: Manage, manage_environment: dict[str, str]
) -> None:
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        output = in_terminal(["bench_cache", "--requests", "40"], manage_environment | variables)
        assert "─" in output
        assert "Measuring" in output
        assert ("\x1b[1m" in output) is coloured
        assert "textbook: a repeat request is" in output


def in_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
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
def test_an_interrupt_ends_with_its_code_and_without_a_traceback(
    number: signal.Signals, small_shop: Manage, manage_environment: dict[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "results"
    process = subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "manage.py"), "bench_cache", "--simulate-latency", "0.05"),
            *("--output", str(target), "--requests", "100000"),
        ],
        env=manage_environment,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Its draft is there from the moment on at which it measures.
    while not list(tmp_path.glob(".results*")):
        assert process.poll() is None
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 128 + number
    assert errors == ("Interrupted.\n" if number == signal.SIGINT else "Terminated.\n")
    assert not list(tmp_path.glob("*results*"))


@pytest.mark.usefixtures("shelf")
def test_a_redis_that_fails_in_the_middle_is_one_error() -> None:
    def fail(**kwargs: Any) -> None:
        # As django-redis raises it: a cause within the handler of what it caused, which is a circle.
        error, interrupted = RedisConnectionError("gone"), RuntimeError()
        error.__context__, interrupted.__context__ = interrupted, error
        raise error

    post_save.connect(fail, sender=Product)
    try:
        with pytest.raises(CommandError, match="Cannot reach Redis at"):
            bench()
    finally:
        post_save.disconnect(fail, sender=Product)
