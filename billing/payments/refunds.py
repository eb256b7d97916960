"""Money that was paid back takes its credits with it, as far as they are still there."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from billing import ledger
from billing.models import Account, Entry, Payment, Transfer
from billing.payments.base import RefundNews, Unsettled, reference_of
from mutoscope.alerts import alert

State = Payment.State


def pay_back(provider: str, news: RefundNews) -> None:
    """Note what was paid back, and take the same share of the payment's credits.

    First from what is left of them, then from the workspace's other credits: what it spent meanwhile, it spent of
    all it had. What is spent stays spent, and operators are told. Within the caller's transaction. Raises
    `Unsettled` for a payment that is not known, or not known as paid, yet.
    """
    payment = (
        Payment.objects.select_for_update()
        .filter(provider=provider, payment_intent=news.payment_intent, state__in=[State.PAID, State.REFUNDED])
        .first()
    )
    if payment is None:
        raise Unsettled(f"the payment {news.payment_intent} is not known here as paid yet")
    refunded = min(news.refunded_cents, payment.amount_cents)
    if refunded <= payment.refunded_cents:
        return  # older news: what it tells has been taken
    share = _credits_of(payment, refunded) - _credits_of(payment, payment.refunded_cents)
    payment.refunded_cents = refunded
    if refunded == payment.amount_cents:
        payment.state = State.REFUNDED
    payment.save()
    missing = share - _take(payment, share)
    if missing:
        transaction.on_commit(lambda: _tell(payment, share, missing))


def _credits_of(payment: Payment, cents: int) -> int:
    return payment.credits * cents // payment.amount_cents


def _take(payment: Payment, share: int) -> int:
    """Take so many credits, or all there are. Returns how many."""
    workspace_id, reference = payment.workspace_id, f"{payment.pk} {payment.refunded_cents}"
    ledger.lock(workspace_id)
    left = min(share, ledger.balance(workspace_id).available)
    own = _own_account(payment)
    of_own = min(left, own.balance) if own else 0
    reason = f"{payment.description}: {payment.refunded_cents / 100:.2f} {payment.currency.upper()} paid back"
    if left < share:
        reason += f"; of {share} credits only {left} were left"
    parts = [(of_own, own.pk if own else None, reference), (left - of_own, None, f"{reference} others")]
    for amount, only, name in parts:
        if amount:
            ledger.take(workspace_id, amount, Entry.Kind.REVERSAL, reference=name, reason=reason, only=only)
    return left


def _own_account(payment: Payment) -> Account | None:
    """Where the credits of the payment lie, unless they have expired."""
    return (
        Account.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), pk__in=_targets(payment))
        .order_by("pk")
        .first()
    )


def _targets(payment: Payment) -> QuerySet[Transfer, UUID]:
    reference = reference_of(payment.provider, payment.provider_id)
    of_payment = Transfer.objects.filter(
        entry__kind__in=[Entry.Kind.PURCHASE, Entry.Kind.RENEWAL], entry__reference=reference
    )
    return of_payment.values_list("target_id", flat=True)


def _tell(payment: Payment, share: int, missing: int) -> None:
    alert(
        "A payment was paid back after its credits were spent",
        f"{payment.description} of workspace {payment.workspace_id}: of {share} credits {missing} had been spent. "
        "Nothing more is taken; an operator may adjust the workspace's credits.",
        key=f"refund-{payment.pk}-{payment.refunded_cents}",
    )
