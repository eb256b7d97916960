"""Whether the storage and the database agree: objects that no row knows, and rows whose files are missing.

The listing is streamed into a temporary table, and the database finds what does not match: nothing is held in
memory, however many millions there are, and no file is asked for one by one. What S3 has parts of and nobody has
completed is in no listing, is asked for by itself, and is judged like an object.

What is younger than a time of grace is not judged: files are stored before the row that names them is written.
Objects outside of the folders that are ours are told of and left alone: the bucket may have other things in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any

from django.apps import apps
from django.core.files.storage import default_storage
from django.db import connection, models

from assets import objects
from assets.models import Asset, Upload
from generation.models import Attempt, Job

FOLDERS = ("adapters", "checkpoints", "marks", "uploads", "workspaces")
"""Where all that is stored has its place."""
GRACE = timedelta(hours=24)
"""Longer than any file is on its way."""
CHUNK = 10_000
"""Objects that are written to the table, or rows that are fetched, at once."""

_ENDED_UPLOADS = ("completed", "ready", "refused", "abandoned")
_UUID = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"

_TABLES = """
CREATE TEMPORARY TABLE audit_stored (
    name text COLLATE "C" NOT NULL, size bigint NOT NULL, modified_at timestamptz NOT NULL,
    multipart_id text COLLATE "C" NOT NULL, folder text NOT NULL, second text NOT NULL, third text NOT NULL);
CREATE TEMPORARY TABLE audit_named (name text COLLATE "C" NOT NULL, row text NOT NULL);
CREATE TEMPORARY TABLE audit_open (folder text NOT NULL, id text NOT NULL);
CREATE INDEX ON audit_named (name);
CREATE INDEX ON audit_open (id);
"""
_NO_TABLES = "DROP TABLE IF EXISTS audit_stored, audit_named, audit_open"

_OPEN = f"""
INSERT INTO audit_open
SELECT 'checkpoints', id::text FROM {Job._meta.db_table} WHERE state = ANY(%(active)s)
UNION ALL SELECT 'workspaces', clip_id::text FROM {Attempt._meta.db_table}
    WHERE clip_id IS NOT NULL AND outcome = 'under_way'
UNION ALL SELECT 'uploads', id::text FROM {Upload._meta.db_table} WHERE state <> ALL(%(ended)s)
"""
"""Folders whose objects need no row's name: what is in them is still being made, or on its way."""

_JUDGED = """
SELECT *, is_unknown AND modified_at <= statement_timestamp() - %(grace)s AS is_orphan,
    is_unknown AND modified_at > statement_timestamp() - %(grace)s AS is_fresh
FROM (
    SELECT *, folder = ANY(%(folders)s)
        AND (multipart_id <> '' OR NOT EXISTS (SELECT FROM audit_named AS named WHERE named.name = stored.name))
        AND NOT EXISTS (
            SELECT FROM audit_open AS open
            WHERE open.folder = stored.folder AND open.id IN (stored.second, stored.third)
        ) AS is_unknown
    FROM audit_stored AS stored
) AS found
"""

_REASON = f"""
CASE WHEN multipart_id <> '' THEN 'parts of it were sent, and it was never completed' ELSE CASE folder
    WHEN 'checkpoints' THEN 'its job has ended'
    WHEN 'uploads' THEN 'its upload has ended'
    WHEN 'workspaces' THEN coalesce((
        SELECT CASE WHEN discarded_at IS NULL THEN 'its asset does not name it' ELSE 'its asset is gone' END
        FROM {Asset._meta.db_table} WHERE id = CASE WHEN third ~ {_UUID} THEN third::uuid END
    ), 'no asset has it')
    ELSE 'no row names it'
END END
"""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that no row knows, its bytes, and what it is left of."""

    name: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that a row names and that is not in the storage."""

    name: str
    row: str
    """Its model and its key."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies in one folder at the top; sizes in bytes."""

    name: str
    objects: int
    size: int
    orphans: int
    orphans_size: int
    fresh: int
    """That no row knows, and that are too young to be judged."""

    @property
    def is_ours(self) -> bool:
        """Whether what is in it is judged."""
        return self.name in FOLDERS


@contextmanager
def audit(grace: timedelta = GRACE) -> Iterator[Audit]:
    """List the storage and what rows name. Raises an error of the storage's own where it cannot be listed."""
    _run(_NO_TABLES)
    _run(_TABLES)
    try:
        _list_storage()
        found = Audit(grace)
        found.list_rows()
        yield found
    finally:
        _run(_NO_TABLES)


class Audit:
    """One look at the storage and the database, within `audit()`."""

    def __init__(self, grace: timedelta) -> None:
        self._values = {"grace": grace, "folders": list(FOLDERS)}

    def list_rows(self) -> None:
        """Ask the database anew which files there should be."""
        _run("TRUNCATE audit_named, audit_open")
        for query in _names():
            _run(f"INSERT INTO audit_named {query}")
        _run(_OPEN, {"active": sorted(Job.ACTIVE), "ended": list(_ENDED_UPLOADS)})
        _run("ANALYZE audit_stored; ANALYZE audit_named; ANALYZE audit_open")

    def folders(self) -> list[Folder]:
        """Each folder with its sums, by name; "" has what lies in none."""
        sums = f"""
            SELECT folder, count(*), sum(size)::bigint, count(*) FILTER (WHERE is_orphan),
                coalesce(sum(size) FILTER (WHERE is_orphan), 0)::bigint, count(*) FILTER (WHERE is_fresh)
            FROM ({_JUDGED}) AS judged GROUP BY folder ORDER BY folder
            """
        return [Folder(*row) for row in _rows(sums, self._values)]

    def orphans(self) -> Iterator[Orphan]:
        """Objects that no row knows, by name."""
        found = f"SELECT name, size, {_REASON} FROM ({_JUDGED}) AS judged WHERE is_orphan ORDER BY name"
        for row in _rows(found, self._values):
            yield Orphan(*row)

    def missing(self) -> Iterator[Missing]:
        """Files that rows name and that are not there, by name.

        Each is looked for once more, and so is its row: files come and go while the storage is listed.
        """
        found = """
            SELECT name, row FROM audit_named AS named
            WHERE NOT EXISTS (
                SELECT FROM audit_stored AS stored WHERE stored.name = named.name AND multipart_id = ''
            ) ORDER BY name
            """
        rows = _rows(found, {})
        while page := list(islice(rows, objects.PAGE)):
            gone = [(name, row) for name, row in page if not default_storage.exists(name)]
            still = _still_named([name for name, _ in gone])
            yield from (Missing(name, row) for name, row in gone if name in still)

    def remove_orphans(self) -> tuple[int, int]:
        """Remove the orphans, but for those that a row knows by now. Returns how many, and their bytes.

        Raises as `assets.objects.discard`.
        """
        self.list_rows()
        count = size = 0
        page = f"""
            SELECT name, size, modified_at, multipart_id FROM ({_JUDGED}) AS judged
            WHERE is_orphan AND (name, multipart_id) > (%(name)s, %(id)s)
            ORDER BY name, multipart_id LIMIT {objects.PAGE}
            """
        last = objects.Stored("", 0, datetime.min)
        while rows := list(_rows(page, {**self._values, "name": last.name, "id": last.multipart_id})):
            batch = [objects.Stored(*row) for row in rows]
            objects.discard(one.name for one in batch if not one.multipart_id)
            for one in batch:
                if one.multipart_id:
                    objects.abort(one)
            count, size, last = count + len(batch), size + sum(one.size for one in batch), batch[-1]
        return count, size


def _list_storage() -> None:
    """In chunks, so that no transaction is open for as long as a listing takes."""
    listing = chain(objects.listing(), objects.unfinished())
    while chunk := list(islice(listing, CHUNK)):
        with connection.cursor() as cursor, cursor.copy("COPY audit_stored FROM STDIN") as copy:
            for one in chunk:
                copy.write_row((one.name, one.size, one.modified_at, one.multipart_id, *_places(one.name)))
    _run("CREATE INDEX ON audit_stored (name)")


def _places(name: str) -> Sequence[str]:
    """The first three folders that the object lies in."""
    return [*name.split("/")[:-1], "", "", ""][:3]


def _names() -> Iterator[str]:
    """A query for each kind of files that rows name, whichever models have any."""
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, models.FileField):
                kept = " AND discarded_at IS NULL" if model is Asset else ""
                yield _name_query(model, str(column.column), kept)
    yield _name_query(Job, "checkpoint", " AND state IN ('scheduled', 'queued', 'running', 'finishing')")


def _name_query(model: type[models.Model], column: str, condition: str) -> str:
    table, key = model._meta.db_table, model._meta.pk.column
    return f"SELECT {column}, '{model._meta.label} ' || {key} FROM {table} WHERE {column} <> ''{condition}"


def _still_named(names: list[str]) -> set[str]:
    """Those that a row names now. Names have no index, so many are asked for at once."""
    every = " UNION ALL ".join(_names())
    found = f"SELECT name FROM ({every}) AS named (name, row) WHERE name = ANY(%(names)s)"
    return {name for (name,) in _rows(found, {"names": names})} if names else set()


def _run(statement: str, values: dict[str, Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _rows(query: str, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """By a cursor in the database, so that they need not fit into memory."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, values)
        while rows := cursor.fetchmany(CHUNK):
            yield from rows
