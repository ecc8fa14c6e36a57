from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection

from catalog.benchmarks.client import BenchmarkError
from catalog.benchmarks.growth.databases import NoScratchDatabase, require_scratch, scratch_database

pytestmark = pytest.mark.django_db(transaction=True)


def is_there(name: str) -> bool:
    if connection.vendor == "sqlite":
        return Path(name).parent.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [name])
        return cursor.fetchone() is not None


@pytest.mark.parametrize("interrupt", [None, KeyboardInterrupt])
def test_a_scratch_database_is_gone_at_the_end(interrupt: type[BaseException] | None) -> None:
    names = []

    def use() -> None:
        with scratch_database() as database:
            names.append(database.name)
            assert is_there(database.name)
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(f"CREATE TABLE {database.name}.full_of_products (id int)")
            if interrupt:
                raise interrupt

    if interrupt:
        with pytest.raises(interrupt):
            use()
    else:
        use()

    assert not is_there(names[0])


def test_the_users_database_is_not_taken_for_the_scratch_database() -> None:
    with scratch_database() as database, pytest.raises(BenchmarkError) as raised:
        require_scratch(database.name)

    assert str(raised.value).startswith(f"A process must fill the database {database.name}, but it is")


def test_a_session_that_may_not_make_a_schema_is_told_so() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL has schemas.")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        with pytest.raises(NoScratchDatabase, match="cannot execute CREATE SCHEMA"), scratch_database():
            pass
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
