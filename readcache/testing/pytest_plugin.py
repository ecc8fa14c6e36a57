"""A pytest plugin for the tests of a project with a read cache.

In the ``conftest.py`` at the top::

    pytest_plugins = ["readcache.testing.pytest_plugin"]

A view is tested with its cache in a ``TransactionTestCase`` or with ``django_db(transaction=True)``:
within the transaction of a ``TestCase``, the cache is bypassed. The fixture ``quick_table_flush`` makes
such tests several times faster, and ``no_outage_left`` tells which of them leaves the read cache bypassed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

FILLED_BY_MIGRATE = {"auth_permission", "django_content_type"}


@pytest.fixture(scope="session")
def quick_table_flush() -> Iterator[None]:
    """After a test that commits, empty every table except those that ``migrate`` fills.

    Django would empty these too and fill them again, which takes longer than most tests.
    """
    # Imported here: pytest loads its plugins before Django's settings are configured.
    from django.core.management.color import no_style
    from django.db import connections
    from django.test import TransactionTestCase

    def flush(case: TransactionTestCase) -> None:
        for alias in case._databases_names(include_mirrors=False):
            database = connections[alias]
            tables = database.introspection.django_table_names(only_existing=True, include_views=False)
            flushed = sorted(set(tables) - FILLED_BY_MIGRATE)
            database.ops.execute_sql_flush(database.ops.sql_flush(no_style(), flushed))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", flush)
        yield


@pytest.fixture
def no_outage_left() -> Iterator[None]:
    """Fail a test that ends while the read cache is bypassed.

    Its pending rotations would be flushed during a later test, which would then find its entries dead.
    """
    from readcache.storage.current import store  # needs Django's settings

    yield
    if store().breaker.is_open:
        pytest.fail("This test leaves an outage to the next.")
