"""A shell sees one line and an exit code of manage.py, whatever ends it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, Manage
from readcache.testing import PrivateRedis

DEADLINE_SECONDS = 60
EXIT_CLOSED_PIPE = 141
EXIT_INTERRUPTED = 130
LONG = "1000000"

Shell = Callable[..., "subprocess.CompletedProcess[str]"]

# Sends the signal as soon as the import of Django begins.
INTERRUPTED_IMPORT = """
import signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "django.core.management":
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""


BLOCK = """
import signal
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def shell(manage_environment: dict[str, str]) -> Shell:
    """Run manage.py by a line of a shell, which can redirect its streams."""

    def run(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", f"{shlex.quote(sys.executable)} manage.py {line}"],
            env={**manage_environment, **variables},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    return run


@pytest.mark.parametrize("arguments", ["private_redis status", "help", "check"])
def test_a_closed_standard_output_is_one_line(arguments: str, shell: Shell) -> None:
    finished = shell(f"{arguments} >&-")

    assert finished.stderr == "Standard output is closed. To do without it, send it to /dev/null.\n"
    assert finished.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="This system has no /dev/full.")
@pytest.mark.parametrize("arguments", ["private_redis status", "private_redis --help", "diffsettings --all"])
def test_a_full_disk_behind_standard_output_is_one_line(arguments: str, shell: Shell) -> None:
    finished = shell(f"{arguments} > /dev/full")

    assert finished.stderr == ("Cannot write the output: No space left on device. Send it elsewhere.\n")
    assert finished.returncode == 1


def test_without_a_standard_error_a_failure_has_its_exit_code(shell: Shell) -> None:
    finished = shell("seed_products --count -1 2>&-")

    assert (finished.returncode, finished.stdout, finished.stderr) == (2, "", "")


@pytest.mark.usefixtures("small_shop")
def test_without_a_standard_input_no_question_is_asked(shell: Shell) -> None:
    finished = shell("seed_products --count 0 <&-")

    assert finished.returncode == 1
    assert finished.stderr.endswith("There is no terminal to ask on. Add --no-input to agree.\n")


@pytest.mark.parametrize("arguments", [["help"], ["private_redis", "--help"]], ids=" ".join)
def test_a_closed_pipe_leaves_no_traceback(arguments: list[str], manage_environment: dict[str, str]) -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    finished = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=manage_environment,
        cwd=ROOT,
        stdout=writing_end,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    os.close(writing_end)

    assert finished.stderr == ""
    assert finished.returncode == EXIT_CLOSED_PIPE


def test_an_interrupt_ends_a_command_without_a_traceback(manage_environment: dict[str, str]) -> None:
    with started(["shell", "--verbosity", "0", "--command", BLOCK], manage_environment) as command:
        assert command.stdout
        assert command.stdout.readline() == "ready\n"
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=DEADLINE_SECONDS)

    assert errors == "Interrupted.\n"
    assert command.returncode == EXIT_INTERRUPTED


def test_a_python_without_django_is_one_line_with_the_remedy(manage_environment: dict[str, str]) -> None:
    finished = subprocess.run(
        [sys.executable, "-S", str(ROOT / "manage.py"), "check"],  # -S: without site-packages
        env=manage_environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )

    assert finished.returncode == 1
    assert finished.stderr == (
        f"Django is not installed for {sys.executable}. Run make demo, then use .venv/bin/python manage.py.\n"
    )


@pytest.mark.parametrize(
    ("place", "remedy"),
    [("/elsewhere", "Run make demo"), (".venv", "Run make clean demo")],
    ids=["elsewhere", ".venv"],
)
def test_a_missing_package_is_one_line_with_the_remedy(
    place: str, remedy: str, shell: Shell, tmp_path: Path
) -> None:
    prefix = f"sys.prefix = {str(ROOT / place)!r}"
    hidden = "import sys; sys.modules['rest_framework'] = None"
    (tmp_path / "sitecustomize.py").write_text(f"{hidden}\n{prefix}\n")

    finished = shell("check", PYTHONPATH=str(tmp_path))

    assert finished.returncode == 1
    assert finished.stderr == (
        f"rest_framework is not installed for {sys.executable}. "
        f"{remedy}, then use .venv/bin/python manage.py.\n"
    )


@pytest.mark.parametrize("arguments", ["shell -v0 -c 'import shop.nowhere'", "check --traceback"])
def test_another_missing_module_keeps_its_traceback(arguments: str, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['rest_framework'] = None")
    variables = {"PYTHONPATH": str(tmp_path)} if "check" in arguments else {}

    finished = shell(arguments, **variables)

    assert "Traceback" in finished.stderr
    assert "ModuleNotFoundError" in finished.stderr


def test_ctrl_c_while_django_is_imported_is_one_line(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED_IMPORT)

    finished = shell("check", PYTHONPATH=str(tmp_path))

    assert finished.stderr == "Interrupted.\n"
    assert finished.returncode == EXIT_INTERRUPTED


@pytest.mark.parametrize("command", ["migrate", "showmigrations"])
def test_a_database_that_is_down_is_one_line_from_djangos_commands_too(command: str, shell: Shell) -> None:
    finished = shell(command, DATABASE_URL="postgres://shop:s3cret@127.0.0.1:1/shop")

    assert finished.returncode == 1
    assert finished.stderr.startswith("The database at 127.0.0.1:1/shop failed: ")
    assert finished.stderr.endswith(
        "Start it with: docker compose up -d postgres, or unset DATABASE_URL to use SQLite.\n"
    )
    assert finished.stderr.count("\n") == 1


def test_with_traceback_a_known_failure_keeps_its_traceback(shell: Shell) -> None:
    finished = shell("migrate --traceback", DATABASE_URL="postgres://shop:s3cret@127.0.0.1:1/shop")

    assert "Traceback" in finished.stderr


def test_an_unknown_failure_keeps_its_traceback(shell: Shell) -> None:
    finished = shell("shell -v0 -c 'raise OSError(28, \"No space\")'")

    assert finished.stderr.endswith("OSError: [Errno 28] No space\n")
    assert "Traceback" in finished.stderr


@pytest.mark.parametrize("debug", ["on", "off"])
def test_an_error_in_a_view_is_logged_with_its_traceback(debug: str, shell: Shell) -> None:
    # Without tables the view fails.
    client = "from django.test import Client; client = Client(raise_request_exception=False)"
    finished = shell(
        f"shell -v0 -c \"{client}; client.get('/uncached/products/')\"",
        DEBUG=debug,
        SECRET_KEY="mine",
        ALLOWED_HOSTS="testserver",
    )

    assert "ERROR django.request: Internal Server Error: /uncached/products/\nTraceback" in finished.stderr
    assert "no such table" in finished.stderr


@pytest.mark.parametrize("verbosity", ["0", "1"])
def test_migrate_and_loaddata_log_no_invalidation(verbosity: str, manage: Manage) -> None:
    migrated = manage("migrate", "-v", verbosity)
    loaded = manage("loaddata", "catalog", "-v", verbosity)

    assert (migrated.returncode, migrated.stderr) == (0, "")
    assert (loaded.returncode, loaded.stderr) == (0, "")
    assert bool(migrated.stdout) is bool(loaded.stdout) is (verbosity == "1")


@pytest.mark.usefixtures("small_shop")
def test_a_saved_product_is_logged_as_clearing_the_textbooks_pages(shell: Shell) -> None:
    finished = shell('shell -v0 -c "from catalog.models import Product; Product.objects.first().save()"')

    assert re.fullmatch(r".+ INFO catalog\.signals: Clearing the product cache\n", finished.stderr)


def test_runserver_prints_a_line_for_each_request(shell: Shell) -> None:
    log = "import logging; logging.getLogger('django.server').info('GET / 200')"
    finished = shell(f'shell -v0 -c "{log}"')

    assert re.fullmatch(r"\[.+\] GET / 200\n", finished.stderr)


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_terminated_demo_leaves_no_redis(
    number: signal.Signals, code: int, manage_environment: dict[str, str]
) -> None:
    server = PrivateRedis(Path(manage_environment["PRIVATE_REDIS_DIR"]))
    with started(["demo", "--count", LONG], manage_environment) as demo:
        assert demo.stdout
        while "fixture" not in demo.stdout.readline():
            assert demo.poll() is None
        assert server.is_running()
        # GNU timeout sends it twice.
        demo.send_signal(number)
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=DEADLINE_SECONDS)

    assert (demo.returncode, errors) == (code, "Terminated.\n")
    assert not server.is_running()


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("option", ["--noreload", "--verbosity=1"])
def test_sigterm_ends_runserver_with_and_without_its_reloader(
    option: str, manage_environment: dict[str, str]
) -> None:
    with started(["runserver", "127.0.0.1:0", option], manage_environment) as server:
        assert server.stdout
        while "Quit the server" not in server.stdout.readline():
            assert server.poll() is None
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=DEADLINE_SECONDS)

    assert server.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in errors


def started(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_with_default_signals,  # noqa: PLW1509 - no thread runs here
    )


def _with_default_signals() -> None:
    """Children inherit ignored signals, and the parent of the tests may ignore some."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
