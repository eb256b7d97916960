"""The one clock that all machines share: the database's."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def database_time() -> datetime:
    """What time it is in the database, in UTC: clocks of web servers and workers may differ."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
