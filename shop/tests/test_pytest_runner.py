from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from conftest import ROOT, Manage
from shop import pytest_runner
from shop.pytest_runner import (
    NO_TESTS_COLLECTED,
    OK,
    SUITES,
    TEST_COUNT,
    TESTS_FAILED,
    PytestRunner,
    path_of_label,
)

ENGINE, SHOP = SUITES
INTERRUPTED = 2
USAGE_ERROR = 4

Commands = list[tuple[str, ...]]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The arguments of each pytest that would run; each succeeds."""
    return commands_with_codes(monkeypatch)


def commands_with_codes(monkeypatch: pytest.MonkeyPatch, *codes: int) -> Commands:
    """The commands that would run; they end with these codes, then with 0."""
    commands: Commands = []
    left = chain(codes, repeat(OK))

    def run(*arguments: str) -> int:
        commands.append(arguments)
        return next(left)

    monkeypatch.setattr(pytest_runner, "_run_pytest", run)
    return commands


def configurations(commands: Sequence[tuple[str, ...]]) -> list[str]:
    return [command[0].removeprefix("--config-file=") for command in commands]


# Labels


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ("catalog", "catalog"),
        ("shop.tests", "shop/tests"),
        ("shop.tests.test_environment", "shop/tests/test_environment.py"),
        (
            "shop.tests.test_environment.test_a_list_is_split_at_commas",
            "shop/tests/test_environment.py::test_a_list_is_split_at_commas",
        ),
        (
            "shop.tests.test_environment.Class.test_it[1.5]",
            "shop/tests/test_environment.py::Class::test_it[1.5]",
        ),
        ("shop/tests/test_environment.py::test_it", "shop/tests/test_environment.py::test_it"),
        ("no.such.label", "no.such.label"),
        ("--last-failed", "--last-failed"),
    ],
)
def test_a_dotted_name_becomes_a_path(label: str, path: str) -> None:
    assert path_of_label(label) == path


@pytest.mark.parametrize(
    ("labels", "of_the_engine", "of_the_shop"),
    [
        ([], ["readcache/tests"], ["catalog", "shop", "tools"]),
        (["."], ["readcache/tests"], ["catalog", "shop", "tools"]),
        (["readcache"], ["readcache/tests"], None),
        (["readcache/tests/test_conf.py::test_it"], ["readcache/tests/test_conf.py::test_it"], None),
        (["catalog", "--last-failed"], None, ["catalog", "--last-failed"]),
        (["readcache/tests/storage", "-x", "shop"], ["readcache/tests/storage", "-x"], ["-x", "shop"]),
        (
            ["--last-failed"],
            ["--last-failed", "readcache/tests"],
            ["--last-failed", "catalog", "shop", "tools"],
        ),
        (["docs"], None, None),
    ],
)
def test_each_suite_runs_its_own_labels(
    labels: list[str], of_the_engine: list[str] | None, of_the_shop: list[str] | None
) -> None:
    assert ENGINE.arguments_for(labels) == of_the_engine
    assert SHOP.arguments_for(labels) == of_the_shop


def test_the_folders_of_the_shops_suite_are_those_of_its_configuration() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]

    assert list(SHOP.folders) == options["testpaths"]
    assert all((ROOT / folder).is_dir() for suite in SUITES for folder in suite.folders)
    assert all((ROOT / suite.configuration).is_file() for suite in SUITES)


# Options


def test_the_options_of_django_become_those_of_pytest(commands: Commands) -> None:
    runner = PytestRunner(verbosity=2, failfast=True, parallel=4, expressions=["one", "two and three"])

    runner.run_tests(["shop"])

    assert commands == [
        (
            "--config-file=pyproject.toml",
            *("-v", "--exitfirst", "--numprocesses=4", "--dist=worksteal", "-kone or two and three", "shop"),
        )
    ]


def test_without_options_pytest_runs_both_suites(
    commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PytestRunner().run_tests([]) == OK

    assert configurations(commands) == ["readcache/tests/pytest.ini", "pyproject.toml"]
    assert re.fullmatch(
        r"About \d,\d\d0 tests, which take \d+ minutes on two processors\.\n", capsys.readouterr().err
    )


@pytest.mark.usefixtures("commands")
def test_the_time_of_a_part_is_not_announced(capsys: pytest.CaptureFixture[str]) -> None:
    PytestRunner().run_tests(["shop"])
    PytestRunner(expressions=["one"]).run_tests([])

    assert capsys.readouterr().err == ""


def test_the_announced_number_of_tests_is_near_the_collected_one(request: pytest.FixtureRequest) -> None:
    options = request.config.option
    paths = {Path(argument).resolve() for argument in request.config.args}
    if options.keyword or options.lf or paths != {ROOT / folder for folder in SHOP.folders}:
        pytest.skip("Only a whole run collects all tests.")
    engine = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *ENGINE.folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    collected = re.search(r"^(\d+) tests collected", engine.stdout, re.MULTILINE)
    assert collected

    assert len(request.session.items) + int(collected[1]) == pytest.approx(TEST_COUNT, rel=0.1)


# Exit codes


@pytest.mark.parametrize(
    ("codes", "failfast", "code", "runs"),
    [
        ((OK, TESTS_FAILED), False, TESTS_FAILED, 2),
        ((TESTS_FAILED, OK), False, TESTS_FAILED, 2),
        ((TESTS_FAILED, OK), True, TESTS_FAILED, 1),
        ((TESTS_FAILED, INTERRUPTED), False, INTERRUPTED, 2),
        ((INTERRUPTED, OK), False, INTERRUPTED, 1),
        ((USAGE_ERROR, OK), False, USAGE_ERROR, 1),
        ((NO_TESTS_COLLECTED, NO_TESTS_COLLECTED), False, NO_TESTS_COLLECTED, 2),
        ((NO_TESTS_COLLECTED, TESTS_FAILED), False, TESTS_FAILED, 2),
    ],
)
def test_the_exit_code_is_pytests(
    codes: tuple[int, int], failfast: bool, code: int, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = commands_with_codes(monkeypatch, *codes)

    with pytest.raises(SystemExit) as raised:
        PytestRunner(failfast=failfast).run_tests([])

    assert raised.value.code == code
    assert len(commands) == runs


def test_a_suite_without_selected_tests_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    commands_with_codes(monkeypatch, NO_TESTS_COLLECTED)

    assert PytestRunner(expressions=["one"]).run_tests([]) == OK


# Refusals


def test_a_folder_without_tests_is_refused(commands: Commands) -> None:
    with pytest.raises(CommandError) as raised:
        PytestRunner().run_tests(["docs"])

    assert str(raised.value) == (
        "No tests are in docs. The tests are in readcache/tests, catalog, shop, tools."
    )
    assert commands == []


def test_a_missing_package_is_named_with_the_remedy(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest_runner, "REQUIRED_MODULES", ("pytest", "no_such_module"))

    with pytest.raises(CommandError) as raised:
        PytestRunner().run_tests([])

    assert str(raised.value) == (
        "The tests need packages that are not installed: no_such_module. "
        f"Run make test, or install them with: {sys.executable} -m pip install -r requirements-dev.txt"
    )
    assert commands == []


# Processes


def test_manage_py_runs_the_tests_of_both_suites(manage: Manage) -> None:
    tests = ("readcache.tests.test_conf", "shop/tests/test_env_file.py::test_no_file_sets_nothing")

    done = manage("test", *tests, "-v0")

    assert done.returncode == OK, done.stdout
    assert len(re.findall(r"^\d+ passed in ", done.stdout, re.MULTILINE)) == 2
    assert done.stderr == ""


def test_manage_py_ends_with_the_exit_code_of_pytest(manage: Manage) -> None:
    done = manage("test", "shop.tests.test_env_file", "-k", "no_test_has_this_name")

    assert done.returncode == NO_TESTS_COLLECTED
    assert "deselected" in done.stdout


def test_sigterm_ends_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as process, pytest_runner._signals_passed_to(process):
        # A terminal sends Ctrl-C to pytest, too, and pytest reports it.
        os.kill(os.getpid(), signal.SIGINT)
        assert process.poll() is None
        os.kill(os.getpid(), signal.SIGTERM)
        code = process.wait(timeout=10)

    assert code == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_end_by_a_signal_is_reported_as_shells_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pytest.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(pytest_runner, "ROOT", tmp_path)

    assert pytest_runner._run_pytest() == 128 + signal.SIGKILL


def test_ctrl_c_during_the_setup_of_a_test_leaves_no_traceback(tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def interrupted(tmp_path):\n"
        "    raise KeyboardInterrupt\n"
        "def test_it(interrupted):\n"
        "    pass\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--config-file=pyproject.toml", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == INTERRUPTED
    assert "KeyboardInterrupt" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
