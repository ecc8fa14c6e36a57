"""How many more connections the database accepts."""

from __future__ import annotations

from django.db import connection

# The free connections of each limit: of the server, the database and the role, where -1 means no limit. Only
# the limit of the server applies to a superuser, who can also use the reserved connections.
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
    """The limit with the fewest free connections, and their number; ``None`` without any limit."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(LIMITS)
        setting, free = cursor.fetchone()
    return str(setting), int(free)
