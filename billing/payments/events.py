"""Webhooks: kept first, then taken in, each once, in whatever order they come.

An event that cannot take effect yet (a refund before its payment, a customer whom nobody knows) is kept with its
problem and tried again by upkeep; after `PATIENCE` only an operator can have it tried again.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from billing.models import ProviderEvent
from billing.payments import closing, effects
from billing.payments.base import Heard, Provider, Unsettled
from mutoscope.alerts import alert
from mutoscope.clock import database_time

log = logging.getLogger(__name__)

PATIENCE = timedelta(days=3)
"""How long an event with a problem is tried again by itself: as long as Stripe itself would."""
WORRY = timedelta(hours=1)
"""After which operators are told of events with problems: those that only came too early have none by then."""
BATCH = 200
"""Events that are tried again in one round, the oldest first."""


def keep(provider: Provider, heard: Heard) -> ProviderEvent:
    """Write down what was heard. The same event is written down once."""
    event = ProviderEvent(
        provider=provider.name,
        event_id=heard.event_id,
        kind=heard.kind,
        created_at=heard.created_at,
        payload=heard.payload,
    )
    ProviderEvent.objects.bulk_create([event], ignore_conflicts=True)
    return ProviderEvent.objects.get(provider=provider.name, event_id=heard.event_id)


def take_in(provider: Provider, event_pk: int) -> bool:
    """Let a kept event take effect. Returns whether this call did; where it cannot, the problem is noted."""
    try:
        with transaction.atomic():
            event = ProviderEvent.objects.select_for_update().filter(pk=event_pk, processed_at=None).first()
            if event is None:
                return False
            news = provider.read(event.payload)
            if news is not None:
                effects.apply(provider, news)
            ProviderEvent.objects.filter(pk=event_pk).update(processed_at=Now(), problem="")
            closing.forget_people(provider, event)
    except Unsettled as error:
        _note(event_pk, str(error))
        return False
    except Exception as error:
        log.exception("the payment event %s could not be taken in; it is tried again", event_pk)
        _note(event_pk, f"a fault of ours: {type(error).__name__}: {error}")
        return False
    return True


def try_again(provider: Provider) -> int:
    """Take in what waits, the oldest first. Returns how many took effect. Safe to run twice at once.

    Tells the operators, once an hour, while there are events whose problem does not go away.
    """
    waiting = _waiting(provider).filter(received_at__gt=database_time() - PATIENCE)
    done = sum(take_in(provider, pk) for pk in waiting.values_list("pk", flat=True)[:BATCH])
    worrying = waiting.filter(received_at__lt=database_time() - WORRY).exclude(problem="")
    if first := worrying.first():
        alert(
            "Payment events cannot take effect",
            f"{worrying.count()} events of {provider.name} have had a problem for more than an hour, such as "
            f"{first.event_id}: {first.problem}. The admin lists them under payment events.",
            key="payment-events",
        )
    return done


def set_aside(events: QuerySet[ProviderEvent]) -> int:
    """Give up events with a problem: they are not tried again, and the problem stays written down."""
    return events.filter(~Q(problem=""), processed_at=None).update(processed_at=Now())


def _waiting(provider: Provider) -> QuerySet[ProviderEvent]:
    return ProviderEvent.objects.filter(provider=provider.name, processed_at=None).order_by("created_at", "pk")


def _note(event_pk: int, problem: str) -> None:
    ProviderEvent.objects.filter(pk=event_pk, processed_at=None).update(problem=problem)
