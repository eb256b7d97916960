"""Celery tasks: each calls a function that does the work."""

from __future__ import annotations

from celery import shared_task

from billing import expiry, renewals


@shared_task(name="billing.keep_books")
def keep_books() -> None:
    """What falls due in the ledger: credits that expire, credits of a new month."""
    expiry.sweep()
    renewals.renew_all()
