"""What owners and managers are written about payments."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.template.loader import render_to_string

from billing.models import Payment
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import managers_of

BILLING_PAGE = "/billing"
"""Not asked of the pages' addresses: they would load the pages into upkeep."""
TIMEOUT = 5
"""Seconds for the mail server: the provider waits for our answer meanwhile."""


def payment_failed(workspace: Workspace, payment: Payment, grace_until: datetime) -> None:
    """Tell those who manage the workspace that a renewal could not be collected, once that is committed.

    A mail server that refuses is logged, and undoes nothing.
    """
    people = [person.email for person in managers_of(workspace)]
    name = " ".join(workspace.name.split())
    context = {
        "workspace": name,
        "payment": payment,
        "amount": f"{payment.amount_cents / 100:.2f} {payment.currency.upper()}",
        "grace_until": grace_until,
        "page": f"{settings.PUBLIC_URL}{BILLING_PAGE}",
    }
    mail = EmailMessage(
        subject=f"A payment of {name} failed",
        body=render_to_string("mail/payment_failed.txt", context),
        bcc=people,
    )
    if people:
        transaction.on_commit(lambda: _send(mail), robust=True)


def _send(mail: EmailMessage) -> None:
    mail.connection = get_connection(timeout=TIMEOUT)
    mail.send()
