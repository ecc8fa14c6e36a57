from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from catalog.benchmarks.processes.children import running_process
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.sandbox.overrides import REDIS_PATIENCE_SECONDS, overrides
from shop.settings import CACHES as SHOP_CACHES

LIMITS = """
import django
from django.conf import settings
django.setup()
print([settings.CACHES[alias]["OPTIONS"]["SOCKET_TIMEOUT"] for alias in ("default", "read")], flush=True)
"""


def limits(caches: Any) -> list[float]:
    return [caches[alias]["OPTIONS"]["SOCKET_TIMEOUT"] for alias in ("default", "read")]


@pytest.mark.django_db
@pytest.mark.parametrize(("is_patient", "seconds"), [(True, [10, 10]), (False, [1, 0.25])])
def test_redis_has_as_long_as_the_question_asks_for(
    is_patient: bool, seconds: list[float], tmp_path: Path
) -> None:
    changed = overrides(SHOP_CACHES, key_prefix="bench_cache.x", is_patient=is_patient)["CACHES"]
    assert limits(changed) == seconds
    assert changed["builtin"]["OPTIONS"]["socket_timeout"] == seconds[0]

    environment = {"BENCH_IS_PATIENT": "on" if is_patient else "off"}
    with (
        isolated_cache(),
        running_process(["-c", LIMITS], tmp_path / "log", environment=environment) as process,
    ):
        assert process.answer(timeout_seconds=60) == f"{seconds}\n"
        assert limits(settings.CACHES) == [REDIS_PATIENCE_SECONDS] * 2


def test_a_cache_of_another_kind_is_left_as_it_is() -> None:
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

    changed = overrides({**SHOP_CACHES, "memory": memory}, key_prefix="bench_cache.x")["CACHES"]

    assert changed["memory"] == {**memory, "OPTIONS": {}, "KEY_PREFIX": "bench_cache.x"}
