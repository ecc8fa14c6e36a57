"""How many more connections the database takes."""

from __future__ import annotations

from django.db import connection

# Each with what is in use of it: the server's limit, the database's and the role's. -1 is none. A
# superuser is bound by the first alone, and to him what is reserved is open.
LIMITS = """
SELECT setting, free FROM (
    SELECT 'max_connections in postgresql.conf' AS setting,
        current_setting('max_connections')::int
        - CASE WHEN rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true), '0')::int END
        - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS free
    FROM pg_roles WHERE rolname = session_user
    UNION ALL
    SELECT 'the connection limit of the database (ALTER DATABASE … CONNECTION LIMIT …)',
        datconnlimit - (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())
    FROM pg_database, pg_roles
    WHERE datname = current_database() AND rolname = session_user AND datconnlimit >= 0 AND NOT rolsuper
    UNION ALL
    SELECT 'the connection limit of the role (ALTER ROLE … CONNECTION LIMIT …)',
        rolconnlimit - (SELECT count(*) FROM pg_stat_activity WHERE usename = session_user)
    FROM pg_roles WHERE rolname = session_user AND rolconnlimit >= 0 AND NOT rolsuper
) AS limits ORDER BY free LIMIT 1
"""


def least_room() -> tuple[str, int] | None:
    """The setting that bounds them most, and the number; ``None`` where nothing does."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(LIMITS)
        setting, free = cursor.fetchone()
    return str(setting), int(free)
