from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from catalog.benchmarks.processes.children import running_child
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.sandbox.overrides import REDIS_PATIENCE_SECONDS, overrides
from catalog.tests.benchmarks.processes.services import Service, serving
from shop.settings import CACHES as SHOP_CACHES


def limits(caches: Any) -> list[float]:
    return [caches[alias]["OPTIONS"]["SOCKET_TIMEOUT"] for alias in ("default", "read")]


@pytest.mark.django_db
@pytest.mark.parametrize(("is_patient", "seconds"), [(True, [10, 10]), (False, [1, 0.25])])
def test_redis_has_ten_seconds_to_answer_except_in_experiments_on_time_limits(
    is_patient: bool, seconds: list[float]
) -> None:
    changed = overrides(SHOP_CACHES, key_prefix="bench_cache.x", is_patient=is_patient)["CACHES"]
    assert limits(changed) == seconds
    assert changed["builtin"]["OPTIONS"]["socket_timeout"] == seconds[0]

    environment = {"BENCH_IS_PATIENT": "on" if is_patient else "off"}
    with isolated_cache(), running_child(serving, environment=environment) as child:
        child.wait_until_ready()
        assert limits(child.ask(Service.setting, "CACHES")) == seconds
        assert limits(settings.CACHES) == [REDIS_PATIENCE_SECONDS] * 2


def test_a_cache_that_is_not_redis_has_no_time_limits() -> None:
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

    changed = overrides({**SHOP_CACHES, "memory": memory}, key_prefix="bench_cache.x")["CACHES"]

    assert changed["memory"] == {**memory, "OPTIONS": {}, "KEY_PREFIX": "bench_cache.x"}
