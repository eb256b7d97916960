"""Celery tasks: each calls a function that does the work."""

from __future__ import annotations

from celery import shared_task

from billing import expiry, renewals
from billing.payments import events, subscriptions
from billing.payments.provider import provider


@shared_task(name="billing.keep_books")
def keep_books() -> None:
    """What falls due in the ledger: credits that expire, credits of a new month."""
    expiry.sweep()
    renewals.renew_all()


@shared_task(name="billing.settle_payments")
def settle_payments() -> None:
    """What falls due with payments: events that could not take effect yet, then plans that are over."""
    events.try_again(provider())
    subscriptions.end_overdue()
