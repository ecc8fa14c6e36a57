"""The files that name the same steps, targets and versions agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from configparser import ConfigParser
from typing import Any

import pytest
from packaging.requirements import Requirement

from conftest import ROOT

CI_SCRIPT = ROOT / ".ci" / "run"


@pytest.fixture
def project() -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return loaded


@pytest.fixture
def pairs() -> list[str]:
    """The environments of tox, such as ``py311-django52``, from the lowest to the highest."""
    tox = ConfigParser()
    tox.read(ROOT / "tox.ini")
    return tox["tox"]["env_list"].split(", ")


def steps() -> list[str]:
    found = re.search(r"^ALL_STEPS=\((.+)\)$", CI_SCRIPT.read_text(), re.MULTILINE)
    assert found
    return found[1].split()


def requirements(name: str) -> dict[str, Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    found = map(Requirement, filter(re.compile(r"[a-z]").match, lines))
    return {requirement.name: requirement for requirement in found}


def test_each_step_is_a_function() -> None:
    assert re.findall(r"^step_(\w+)\(\) \{$", CI_SCRIPT.read_text(), re.MULTILINE) == steps()


def test_an_unknown_step_is_refused_with_the_steps_there_are() -> None:
    done = subprocess.run(
        ["bash", str(CI_SCRIPT), "lint", "nosuch"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"There is no step nosuch. The steps are: {' '.join(steps())}.\n"


def test_the_workflow_runs_each_step() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    matrix = re.search(r"^ +step: \[(.+)\]$", workflow, re.MULTILINE)
    assert matrix

    assert ["packages", *matrix[1].split(", ")] == steps()
    assert "- run: bash .ci/run packages ${{ matrix.step }}\n" in workflow


def test_each_make_target_of_a_step_exists() -> None:
    targets = re.search(r"^TARGETS = (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    called = re.findall(r"^\s+make ([a-z-]+)", CI_SCRIPT.read_text(), re.MULTILINE)

    assert {"test", "soak", "lint", "demo", "bench", "wheel-test"} == set(called)
    assert set(called) <= set(targets[1].split())


# Versions


def test_the_pairs_of_tox_are_the_supported_versions(pairs: list[str], project: dict[str, Any]) -> None:
    classifiers = project["classifiers"]
    pythons = [each.removeprefix("Programming Language :: Python :: 3.") for each in classifiers]
    djangos = [each.removeprefix("Framework :: Django :: ").replace(".", "") for each in classifiers]

    assert {pair.split("-")[0].removeprefix("py3") for pair in pairs} == set(filter(str.isdigit, pythons))
    assert {pair.split("-")[1].removeprefix("django") for pair in pairs} == set(filter(str.isdigit, djangos))


def test_only_the_lowest_and_the_highest_pair_run_all_tests(pairs: list[str]) -> None:
    python = [re.findall(r"\d+", pair) for pair in pairs]
    assert python == sorted(python, key=lambda pair: (pair[1], pair[0]))

    assert f"[testenv:py3{{{python[0][0][1:]}-django{python[0][1]}," in (ROOT / "tox.ini").read_text()
    assert f",{python[-1][0][1:]}-django{python[-1][1]}}}]\n" in (ROOT / "tox.ini").read_text()


def test_the_ci_script_finds_a_python_for_each_pair(pairs: list[str]) -> None:
    versions = re.search(r"^PYTHON_VERSIONS=\((.+)\)$", CI_SCRIPT.read_text(), re.MULTILINE)
    assert versions

    found = {f"py{version.replace('.', '')}" for version in versions[1].split()}
    assert found == {pair.split("-")[0] for pair in pairs}


def test_the_shop_and_the_wheel_need_the_same_versions(project: dict[str, Any]) -> None:
    of_the_shop = requirements("requirements.txt")
    extras = project["optional-dependencies"]["testing"]

    for needed in map(Requirement, [*project["dependencies"], *extras]):
        assert needed.specifier == of_the_shop[needed.name].specifier, needed.name


def test_both_suites_need_the_same_versions() -> None:
    of_the_shop = requirements("requirements.txt") | requirements("requirements-dev.txt")

    for name, needed in requirements("readcache/tests/requirements.txt").items():
        assert needed.specifier == of_the_shop[name].specifier, name


def test_the_hooks_use_a_ruff_that_the_requirements_allow() -> None:
    pinned = re.findall(r'"ruff==([\d.]+)"', (ROOT / ".pre-commit-config.yaml").read_text())

    assert len(pinned) == 2
    assert all(requirements("requirements-dev.txt")["ruff"].specifier.contains(version) for version in pinned)
