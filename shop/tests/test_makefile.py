"""The Makefile, in a copy of the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT
from readcache.testing import PrivateRedis
from shop.pytest_runner import REQUIRED_MODULES

DEADLINE_SECONDS = 120
VENV_FAILED = "No virtual environment could be made. On Debian: apt install python3-venv\n"

Make = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed.")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in (
        *("Makefile", "manage.py", "shop", "catalog", "readcache", "fixtures"),
        *("requirements.txt", "requirements-dev.txt"),
    ):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    return folder


@pytest.fixture
def make(project: Path, manage_environment: dict[str, str]) -> Make:
    environment = {name: value for name, value in manage_environment.items() if name != "PRIVATE_REDIS_DIR"}

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments],
            env=environment | variables,
            cwd=project,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def environment_of_the_tests(project: Path) -> Path:
    """A virtual environment with the Python and the packages of the tests."""
    return script(project / "venv" / "bin" / "python", f'exec "{sys.executable}" "$@"').parent.parent


def script(path: Path, line: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    (path.parent.parent / "pyvenv.cfg").touch()
    return path


def test_help_lists_every_target(make: Make) -> None:
    declared = re.search(r"^TARGETS = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared

    listed = re.findall(r"^make (\S+) +\S", make("help").stdout, re.MULTILINE)

    assert sorted(listed) == sorted(set(declared[1].split()) - {"help"})


@pytest.mark.parametrize("venv", [".venv", "elsewhere"])
def test_clean_removes_an_environment_that_does_not_work(venv: str, project: Path, make: Make) -> None:
    script(project / venv / "bin" / "python", f'exec "{sys.executable}" -S "$@"')  # without packages

    done = make("clean", f"VENV={venv}")

    assert done.returncode == 0, done.stderr
    assert not (project / venv).exists()


def test_clean_stops_the_private_redis(project: Path, environment_of_the_tests: Path, make: Make) -> None:
    server = PrivateRedis(project / ".redis")
    server.ensure_running()

    done = make("clean", "VENV=venv")

    assert done.returncode == 0, done.stderr
    assert not server.is_running()
    assert not (project / ".redis").exists()
    assert not environment_of_the_tests.exists()


def test_clean_keeps_the_socket_of_a_server_that_it_cannot_stop(
    project: Path, environment_of_the_tests: Path, make: Make
) -> None:
    server = PrivateRedis(project / ".redis")
    server.ensure_running()
    try:
        done = make("clean", "VENV=venv", DEBUG="maybe")

        assert done.returncode == 0, done.stderr
        assert "DEBUG must be on or off" in done.stderr
        assert "The private Redis was not stopped: .redis stays.\n" in done.stderr
        assert server.is_running()
        assert not environment_of_the_tests.exists()
    finally:
        server.stop()


def test_measurements_use_a_database_of_their_own(project: Path, make: Make) -> None:
    script(project / "venv" / "bin" / "python", 'echo "ran $2 on $DATABASE_URL"')
    for stamp in ("venv.stamp", "run.stamp"):
        (project / "venv" / stamp).touch()

    done = make("measurements", "VENV=venv")

    assert done.returncode == 0, done.stderr
    said = done.stdout + (project / ".measured" / "seeding.json").read_text()
    ran = re.findall(r"^ran (\S+) on (\S+)$", said, re.MULTILINE)
    assert [command for command, _ in ran][:4] == ["migrate", "loaddata", "seed_products", "bench_cache"]
    assert {url for _, url in ran} == {"sqlite:///.measured/shop.sqlite3"}


def test_clean_removes_only_folders_that_are_environments(project: Path, make: Make) -> None:
    (project / "precious").mkdir()

    make("clean", "VENV=precious")

    assert (project / "precious").exists()


def test_an_environment_whose_creation_failed_is_made_anew(project: Path, make: Make, tmp_path: Path) -> None:
    # As on a Debian without python3-venv: bin/python is there, pip is not.
    without_pip = script(
        tmp_path / "tools" / "bin" / "python",
        f'[ "$1 $2" != "-m venv" ] || {{ "{sys.executable}" -m venv --without-pip venv; exit 1; }}',
    )
    for _ in range(2):
        done = make("venv/venv.stamp", "VENV=venv", f"PYTHON={without_pip}")
        assert done.returncode != 0
        assert done.stderr.startswith(VENV_FAILED)

    done = make("venv/venv.stamp", "VENV=venv", f"PYTHON={sys.executable}")

    assert done.returncode == 0, done.stderr
    assert (project / "venv" / "venv.stamp").exists()
    pip = subprocess.run(
        [project / "venv" / "bin" / "python", "-m", "pip", "--version"], capture_output=True, check=False
    )
    assert pip.returncode == 0


def test_an_environment_that_works_is_kept(project: Path, environment_of_the_tests: Path, make: Make) -> None:
    (environment_of_the_tests / "mine").touch()

    assert make("venv/venv.stamp", "VENV=venv").returncode == 0
    assert (environment_of_the_tests / "mine").exists()


def stamped(environment: Path) -> list[Path]:
    """The stamps of an environment with all packages, newer than the requirements."""
    stamps = [environment / f"{name}.stamp" for name in ("venv", "run", "dev")]
    for stamp in stamps:
        stamp.touch()
    return stamps


@pytest.mark.parametrize(
    "line", ["exit 127", f'exec "{sys.executable}" -S "$@"'], ids=["no interpreter", "no packages"]
)
def test_an_environment_that_was_damaged_is_made_anew(line: str, project: Path, make: Make) -> None:
    environment = script(project / "venv" / "bin" / "python", line).parent.parent
    stamps = stamped(environment)
    (environment / "old").touch()

    done = make("venv/venv.stamp", "VENV=venv", f"PYTHON={sys.executable}")

    assert done.returncode == 0, done.stderr
    assert [stamp.exists() for stamp in stamps] == [True, False, False]
    assert not (environment / "old").exists()


def test_an_undamaged_environment_keeps_its_stamps(
    environment_of_the_tests: Path, project: Path, make: Make
) -> None:
    stamps = stamped(environment_of_the_tests)

    assert make("help", "VENV=venv").returncode == 0
    assert all(stamp.exists() for stamp in stamps)


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(project: Path, make: Make) -> None:
    # A file in the path refuses root, too.
    done = make("demo", "VENV=Makefile/venv")

    assert done.stderr.splitlines()[0] == (
        f"You may not write to {project}/Makefile/venv. Copy the project to a folder of yours: "
        f"cp -R {project} ~/shop; cd ~/shop; make demo"
    )


def test_an_argument_without_args_is_refused_before_anything_runs(project: Path, make: Make) -> None:
    done = make("run", "8001")

    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(
        r"Makefile:\d+: \*\*\* There is no target 8001\. make help lists the targets\. "
        r'Pass options to a command like this: make run ARGS="8001"\.  Stop\.\n',
        done.stderr,
    )
    assert not (project / ".venv").exists()


def test_the_tests_run_with_the_arguments_of_pytest(project: Path, make: Make) -> None:
    environment = script(project / "venv" / "bin" / "python", 'echo "ran $*"').parent.parent
    stamped(environment)

    done = make("test", "VENV=venv", "ARGS=--last-failed shop")

    assert done.stdout.splitlines()[-1] == "ran manage.py test --parallel 4 -- --last-failed shop"


def test_the_packages_of_the_tests_are_those_of_the_requirements() -> None:
    requirements = (ROOT / "requirements-dev.txt").read_text()

    for module in REQUIRED_MODULES:
        distribution = {"xdist": "pytest-xdist"}.get(module, module.replace("_", "-"))
        assert re.search(rf"^{distribution}>=", requirements, re.MULTILINE)
