"""What becomes of the payments of a workspace that has been deleted: the provider lets go of it, the books stay.

What was paid is kept, with the provider's numbers for it, because books are kept; nothing of it names anybody. The
customer's row stays for the same reason: refunds and disputes may come for months.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from billing.models import Customer, Payment, ProviderEvent
from billing.payments.base import Provider
from billing.payments.provider import provider
from mutoscope.alerts import alert


def leave(workspace_id: UUID) -> None:
    """End what the workspace pays for, and have the provider forget it. Safe to call again.

    Raises `ProviderUnavailable`: then nothing is certain, and it is to be called again.
    """
    customer = Customer.objects.filter(workspace=workspace_id).first()
    if customer is None:
        return
    current = provider()
    if current.name == customer.provider:
        current.forget(customer.provider_id)
    else:
        alert(
            "A deleted workspace is still a customer",
            f"The workspace {workspace_id} has been deleted and is the customer {customer.provider_id} at "
            f"{customer.provider}, which is not set up here any more. Delete the customer there by hand.",
            key=f"customer-left-{workspace_id}",
        )


def forget_words(workspace_id: UUID) -> int:
    """Take what names people out of the workspace's payments and events. Returns how many events had any."""
    payments = Payment.objects.filter(workspace_id=workspace_id)
    payments.exclude(receipt_url="").update(receipt_url="")
    current, changed = provider(), 0
    for customer in Customer.objects.filter(workspace=workspace_id, provider=current.name):
        intents = payments.exclude(payment_intent="").values_list("payment_intent", flat=True)
        mine = (
            Q(payload__data__object__customer=customer.provider_id)
            | Q(payload__data__object__id=customer.provider_id)
            | Q(payload__data__object__payment_intent__in=list(intents))
        )
        events = ProviderEvent.objects.filter(mine, provider=current.name, processed_at__isnull=False)
        changed += sum(_forget(current, event) for event in events.iterator())
    return changed


def forget_people(provider: Provider, event: ProviderEvent) -> None:
    """Keep of an event that has taken effect only what is read of it, where its workspace has been deleted."""
    subject = event.payload.get("data", {}).get("object", {})
    gone = Q(provider_id__in=[subject.get("customer"), subject.get("id")], workspace__deleted_at__isnull=False)
    if Customer.objects.filter(gone, provider=provider.name).exists():
        _forget(provider, event)


def _forget(provider: Provider, event: ProviderEvent) -> bool:
    without = provider.without_people(event.payload)
    return without != event.payload and bool(ProviderEvent.objects.filter(pk=event.pk).update(payload=without))
