"""Upkeep of renditions: putting right what crashes leave behind, and removing what nobody asks for any more.

Every function here is safe to run twice at once, and when late.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from assets.models import Rendition
from generation.outputs.renditions.asking import issue_ticket
from generation.outputs.renditions.files import MAX_ATTEMPTS, stored_names
from mutoscope.alerts import alert
from mutoscope.celery import MEDIA_QUEUE, app

log = logging.getLogger(__name__)

BATCH = 100
LOST = "the process that made it stopped, in every try"

State = Rendition.State


def return_lost() -> int:
    """Take back the renditions of processes whose lease ran out. Returns how many."""
    lost = Rendition.objects.filter(state=State.MAKING, lease_expires_at__lte=Now())
    spent = lost.filter(attempts__gte=MAX_ATTEMPTS).update(state=State.FAILED, error=LOST, lease_expires_at=None)
    if spent:
        tell_failed(LOST)
    return spent + lost.update(state=State.QUEUED, lease_expires_at=None)


def tell_failed(reason: str) -> None:
    """Tell the operators of what failed in every try, and is nobody's fault but ours."""
    alert(
        "clips could not be made in other forms",
        f"{reason}: {settings.PUBLIC_URL}/admin/assets/rendition/?state__exact=failed",
        key="renditions",
    )


def reissue_tickets() -> int:
    """Send tickets where more renditions wait than there are tickets. Returns how many were sent.

    Others' tickets wait in the same queue and count, too: where they are many, none is missing yet, and once the
    queue has run empty all are.
    """
    waiting = Rendition.objects.filter(state=State.QUEUED, asset__deleted_at=None)[:BATCH].count()
    if not waiting:
        return 0
    try:
        with app.connection_for_write() as connection, connection.channel() as channel:
            missing = max(0, waiting - _tickets(channel))
    except (OperationalError, RedisError) as error:
        log.warning("tickets could not be counted (tried again next round): %s", error)
        return 0
    for _ in range(missing):
        issue_ticket()
    return missing


def _tickets(channel: Any) -> int:
    """How many tickets wait in the queue: what Celery's Redis transport keeps in a list."""
    return int(channel.client.llen(MEDIA_QUEUE))


def discard_unused() -> int:
    """Remove the renditions that nobody has asked for in a while: they can be made again. Returns how many."""
    unused = Q(state__in=Rendition.ENDED, used_at__lt=Now() - settings.RENDITION_UNUSED)
    removed = 0
    for rendition in Rendition.objects.filter(unused).select_related("asset").order_by("used_at")[:BATCH]:
        # The row first: whoever asks in this moment gets another, and never a link to what is gone.
        gone, _ = Rendition.objects.filter(unused, pk=rendition.pk).delete()
        for name in stored_names(rendition) if gone else ():
            default_storage.delete(name)
        removed += gone
    return removed
