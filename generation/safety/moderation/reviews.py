"""What operators decide about prompts and pictures that were put to them, and telling those who asked."""

from __future__ import annotations

import logging
import smtplib

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from generation.models import Review
from mutoscope.accounts.models import User
from mutoscope.clock import database_time

log = logging.getLogger(__name__)

State = Review.State


def decide(review: Review, by: User, *, allow: bool) -> bool:
    """Allow or refuse it; whoever asked is told. It may be decided anew. Returns whether this call changed it.

    The decision stands where the mail server refuses: the log says who was not told.
    """
    state = State.ALLOWED if allow else State.REFUSED
    with transaction.atomic():
        changed = (
            Review.objects.filter(pk=review.pk)
            .exclude(state=state)
            .update(state=state, decided_by=by, decided_at=database_time())
        )
    review.refresh_from_db()
    if changed:
        _tell(review)
    return bool(changed)


def waiting() -> int:
    """How many wait for a decision."""
    return Review.objects.filter(state=State.OPEN).count()


def _tell(review: Review) -> None:
    person = review.created_by
    if person is None or not person.is_active:
        return
    mail = EmailMessage(
        subject=f"Your {review.kind} was {'allowed' if review.state == State.ALLOWED else 'refused'}",
        body=render_to_string(
            "mail/review_decided.txt",
            {"review": review, "allowed": review.state == State.ALLOWED, "page": f"{settings.PUBLIC_URL}/"},
        ),
        to=[person.email],
    )
    try:
        mail.send()
    except (smtplib.SMTPException, OSError):
        log.exception("review %s is decided, but %s could not be told", review.pk, person.pk)
