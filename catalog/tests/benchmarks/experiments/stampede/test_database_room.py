from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from catalog.benchmarks.experiments.stampede.database_room import least_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def role() -> Iterator[str]:
    if connection.vendor != "postgresql":
        pytest.skip("Only PostgreSQL bounds its connections.")
    quoted = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE few_connections LOGIN CONNECTION LIMIT 3")
        yield f"ALTER DATABASE {quoted} CONNECTION LIMIT"
        cursor.execute("RESET SESSION AUTHORIZATION")


def test_the_lowest_limit_is_found(role: str) -> None:
    with connection.cursor() as cursor:
        # Only the server's limit binds a superuser, such as the role of CI.
        cursor.execute("SHOW max_connections")
        most = int(cursor.fetchone()[0])
        cursor.execute("SET SESSION AUTHORIZATION few_connections")
        assert least_room() == ("the connection limit of the role (ALTER ROLE … CONNECTION LIMIT …)", 3)
        cursor.execute("RESET SESSION AUTHORIZATION")
        cursor.execute("ALTER ROLE few_connections CONNECTION LIMIT -1")
        cursor.execute(f"{role} 1")
        cursor.execute("SET SESSION AUTHORIZATION few_connections")
        found = least_room()
        assert found is not None
        assert found[0].startswith("the connection limit of the database")
        assert found[1] <= 0
        cursor.execute("RESET SESSION AUTHORIZATION")
        cursor.execute(f"{role} -1")
        cursor.execute("SET SESSION AUTHORIZATION few_connections")
        found = least_room()
        assert found is not None
        assert found[0] == "max_connections in postgresql.conf"
        assert 0 < found[1] < most


def test_a_database_in_a_file_has_no_limit() -> None:
    if connection.vendor == "sqlite":
        assert least_room() is None
