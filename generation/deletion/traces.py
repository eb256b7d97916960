"""Where names are written down beside the rows that they belong to: the admin's log, and sessions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import SESSION_KEY
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import Q

from mutoscope.accounts.models import User

NAMELESS = {"object_repr": "deleted", "change_message": ""}
"""An entry of the admin's log that still says who did what and when, but no longer to whom."""


def forget_in_admin_log(model: type[models.Model], ids: Collection[Any]) -> int:
    """Take names and words out of what the admin's log says of these rows. Returns of how many entries."""
    kind = ContentType.objects.get_for_model(model)
    return LogEntry.objects.filter(content_type=kind, object_id__in=[str(pk) for pk in ids]).update(**NAMELESS)


def forget_person(user: User) -> None:
    """Take the person out of the admin's log, wherever the address stands, and end their sessions."""
    forget_in_admin_log(User, [user.pk])
    LogEntry.objects.filter(Q(object_repr__icontains=user.email) | Q(change_message__icontains=user.email)).update(
        **NAMELESS
    )
    end_sessions(user)


def end_sessions(user: User) -> int:
    """Sign the person out everywhere. Returns how many sessions that were.

    Sessions are not found by person: each is looked into, which takes a second for some ten thousand.
    """
    theirs = [
        session.pk
        for session in Session.objects.iterator()
        if session.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    return Session.objects.filter(pk__in=theirs).delete()[0]
