"""Whether the books are right: what must hold in the ledger, asked of the database from the entries alone.

Each rule is one query that finds what breaks it, so that millions of entries are gone through where they
lie. Rules that need to know of jobs are in `generation.audit`, of the same shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import connection

CHUNK = 1000
"""Rows that are fetched at once."""


@dataclass(frozen=True, slots=True)
class Check:
    """A rule of the books, and how to find what breaks it."""

    rule: str
    sentence: str
    """What is wrong, with a `{}` for each column of the query."""
    query: str
    """Gives a row for each breach; none where the rule holds."""


def problems(checks: Iterable[Check] | None = None) -> Iterator[str]:
    """A sentence for each breach of the rules, of the ledger's own where none are named.

    Each rule sees one moment of the database, so that work going on meanwhile is never taken for a breach.
    """
    for check in CHECKS if checks is None else checks:
        with connection.cursor() as cursor:
            cursor.execute(check.query)
            while rows := cursor.fetchmany(CHUNK):
                yield from (check.sentence.format(*row) for row in rows)


JOBS_BOOKS = """
    SELECT entry.job_id,
        min(entry.workspace_id::text) AS workspace_id,
        coalesce(sum(amount) FILTER (WHERE entry.kind = 'hold'), 0) AS held,
        coalesce(sum(amount) FILTER (WHERE entry.kind = 'capture'), 0) AS captured,
        coalesce(sum(amount) FILTER (WHERE entry.kind = 'release'), 0) AS released,
        count(*) FILTER (WHERE entry.kind <> 'hold') > 0 AS is_closed
    FROM billing_entry AS entry JOIN billing_transfer AS transfer ON transfer.entry_id = entry.id
    WHERE entry.job_id IS NOT NULL GROUP BY entry.job_id
"""
"""What the entries say of each job."""

_WAYS = """
    ('grant', 'granted', 'credits'), ('renewal', 'granted', 'credits'), ('purchase', 'sold', 'credits'),
    ('reversal', 'credits', 'sold'), ('adjustment', 'adjusted', 'credits'), ('adjustment', 'credits', 'adjusted'),
    ('expiry', 'credits', 'expired'), ('hold', 'credits', 'held'), ('capture', 'held', 'spent'),
    ('release', 'held', 'credits')
"""
"""From which account to which an entry of each kind moves credits."""

CHECKS = (
    Check(
        "The sum over all accounts is zero.",
        "the sum over all accounts must be 0, but is {}",
        """
        SELECT balance FROM (
            SELECT (SELECT coalesce(sum(balance), 0) FROM billing_account)
                + (SELECT coalesce(sum(amount), 0) FROM billing_transfer AS transfer
                   JOIN billing_account AS account ON account.id = transfer.target_id
                   WHERE account.workspace_id IS NULL)
                - (SELECT coalesce(sum(amount), 0) FROM billing_transfer AS transfer
                   JOIN billing_account AS account ON account.id = transfer.source_id
                   WHERE account.workspace_id IS NULL) AS balance
        ) AS total WHERE balance <> 0
        """,
    ),
    Check(
        "Each balance that is kept is the sum of its transfers.",
        "account {} of workspace {} says {} credits, but its transfers come to {}",
        """
        SELECT account.id, account.workspace_id, account.balance, coalesce(moved.amount, 0)
        FROM billing_account AS account LEFT JOIN (
            SELECT account_id, sum(amount) AS amount FROM (
                SELECT target_id AS account_id, amount FROM billing_transfer
                UNION ALL SELECT source_id, -amount FROM billing_transfer
            ) AS part GROUP BY account_id
        ) AS moved ON moved.account_id = account.id
        WHERE account.workspace_id IS NOT NULL AND account.balance <> coalesce(moved.amount, 0)
        """,
    ),
    Check(
        "No balance is below zero.",
        "account {} of workspace {} must not be below 0, but has {} credits",
        "SELECT id, workspace_id, balance FROM billing_account WHERE balance < 0",
    ),
    Check(
        "Each entry moves credits.",
        "entry {} ({}) of workspace {} moves nothing",
        """
        SELECT entry.id, entry.kind, entry.workspace_id FROM billing_entry AS entry
        WHERE NOT EXISTS (SELECT FROM billing_transfer WHERE entry_id = entry.id)
        """,
    ),
    Check(
        "Each entry moves credits the way of its kind.",
        "entry {} is a {}, but moves {} credits from {} to {}",
        f"""
        SELECT entry.id, entry.kind, transfer.amount, source.kind, target.kind
        FROM billing_transfer AS transfer
        JOIN billing_entry AS entry ON entry.id = transfer.entry_id
        JOIN billing_account AS source ON source.id = transfer.source_id
        JOIN billing_account AS target ON target.id = transfer.target_id
        WHERE (entry.kind, source.kind, target.kind) NOT IN (VALUES {_WAYS})
        """,
    ),
    Check(
        "Each entry moves its own workspace's credits.",
        "entry {} is workspace {}'s, but moves credits of workspace {}",
        """
        SELECT entry.id, entry.workspace_id, account.workspace_id
        FROM billing_transfer AS transfer
        JOIN billing_entry AS entry ON entry.id = transfer.entry_id
        JOIN billing_account AS account ON account.id IN (transfer.source_id, transfer.target_id)
        WHERE account.workspace_id <> entry.workspace_id
        """,
    ),
    Check(
        "Nothing is paid or given back that was not held.",
        "job {} of workspace {} has {} credits paid and {} given back, but nothing was held for it",
        f"""
        SELECT job_id, workspace_id, captured, released FROM ({JOBS_BOOKS}) AS books
        WHERE is_closed AND held = 0
        """,
    ),
    Check(
        "What is paid and what is given back come to what was held.",
        "job {} of workspace {}: {} credits were held, but {} paid and {} given back",
        f"""
        SELECT job_id, workspace_id, held, captured, released FROM ({JOBS_BOOKS}) AS books
        WHERE is_closed AND held > 0 AND captured + released <> held
        """,
    ),
    Check(
        "What is given back goes where it came from.",
        "job {}: {} credits more went back into account {} than were held from it",
        """
        SELECT entry.job_id, sum(CASE entry.kind WHEN 'release' THEN amount ELSE -amount END), account.id
        FROM billing_entry AS entry
        JOIN billing_transfer AS transfer ON transfer.entry_id = entry.id
        JOIN billing_account AS account ON account.id IN (transfer.source_id, transfer.target_id)
        WHERE entry.kind IN ('hold', 'release') AND account.kind = 'credits'
        GROUP BY entry.job_id, account.id
        HAVING sum(CASE entry.kind WHEN 'release' THEN amount ELSE -amount END) > 0
        """,
    ),
    Check(
        "What has expired is taken away within a day.",
        "account {} of workspace {} expired at {:%Y-%m-%d %H:%M} UTC and still has {} credits: does upkeep run?",
        """
        SELECT id, workspace_id, expires_at, balance FROM billing_account AS account
        WHERE kind = 'credits' AND balance > 0 AND expires_at < now() - interval '1 day'
            AND NOT EXISTS (
                -- A job's end may have brought it back only now.
                SELECT FROM billing_transfer AS transfer
                JOIN billing_entry AS entry ON entry.id = transfer.entry_id
                WHERE transfer.target_id = account.id AND entry.at > now() - interval '1 day')
        """,
    ),
)
"""The rules of the ledger itself."""
