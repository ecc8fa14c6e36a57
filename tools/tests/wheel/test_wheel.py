"""A wheel that holds more than the engine, or less, is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tools.wheel.__main__ import REQUIRED, require_engine_only
from tools.wheel.project import TrialFailed

METADATA = "django_readcache-0.1.0.dist-info/METADATA"


def wheel(folder: Path, names: set[str]) -> Path:
    path = folder / "django_readcache-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path


def test_a_wheel_with_the_engine_alone_is_accepted(tmp_path: Path) -> None:
    require_engine_only(wheel(tmp_path, {*REQUIRED, METADATA, "readcache/serving/mixin.py"}))


@pytest.mark.parametrize("foreign", ["shop/settings.py", "readcache/tests/test_conf.py", "LICENSE"])
def test_a_wheel_with_something_else_is_refused(foreign: str, tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match=rf"should not have \['{foreign}'\]"):
        require_engine_only(wheel(tmp_path, {*REQUIRED, METADATA, foreign}))


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_a_wheel_that_lacks_a_file_is_refused(missing: str, tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match=rf"lacks \['{missing}'\]"):
        require_engine_only(wheel(tmp_path, {*REQUIRED, METADATA} - {missing}))
