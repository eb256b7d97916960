"""What each piece of news from a payment provider does to our rows.

Each effect is part of its event's transaction, may come twice, and may come in any order: payments only move
forward (open, failed, paid, paid back), credits are entered by reference, and which plan holds is worked out anew
(`billing.payments.subscriptions`). Whatever depends on something that is not known yet raises `Unsettled`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from django.db import transaction

from billing import ledger
from billing.models import Customer, Entry, Payment, Plan
from billing.payments import letters, refunds
from billing.payments.base import (
    IntentNews,
    InvoiceNews,
    Line,
    News,
    PackNews,
    Provider,
    ReceiptNews,
    RefundNews,
    SubscriptionNews,
    Trouble,
    Unsettled,
    reference_of,
)
from billing.payments.subscriptions import follow, grace_of, plan_of
from mutoscope.accounts.models import Workspace
from mutoscope.alerts import alert

State = Payment.State

RENEWAL_OVERLAP = timedelta(days=1)
"""Credits of a period are good for so much longer: the next period's come an hour or more after it has begun."""
_FORWARD = [State.OPEN, State.FAILED, State.PAID, State.REFUNDED]


def apply(provider: Provider, news: News) -> None:
    """Let the news take effect, within the caller's transaction. Raises `Unsettled`."""
    match news:
        case PackNews():
            _pack(provider, news)
        case InvoiceNews():
            _invoice(provider, news)
        case SubscriptionNews():
            follow(provider, news.customer, _workspace(provider, news.customer))
        case IntentNews():
            _intent(provider, news)
        case ReceiptNews():
            _receipt(provider, news)
        case RefundNews():
            refunds.pay_back(provider.name, news)
        case Trouble():
            transaction.on_commit(lambda: _tell(news))


def _pack(provider: Provider, news: PackNews) -> None:
    workspace = _workspace(provider, news.customer)
    _, is_news = _record(
        provider, workspace, news.check_out, Payment.Kind.PACK, news.state,
        description=news.name, amount_cents=news.amount_cents, currency=news.currency, credits=news.credits,
        payment_intent=news.payment_intent, created_at=news.at,
        paid_at=news.at if news.state == State.PAID else None,
    )  # fmt: skip
    if is_news and news.state == State.PAID:
        ledger.add(
            workspace.pk,
            news.credits,
            Entry.Kind.PURCHASE,
            reference=reference_of(provider.name, news.check_out),
            reason=news.name,
            expires_at=news.at + timedelta(days=news.valid_days) if news.valid_days else None,
        )


def _invoice(provider: Provider, news: InvoiceNews) -> None:
    workspace = _workspace(provider, news.customer)
    plan, amount, ends_at = _worth(news)
    payment, is_news = _record(
        provider, workspace, news.invoice, Payment.Kind.SUBSCRIPTION, State.PAID if news.is_paid else State.FAILED,
        description=f"{plan.name}, until {ends_at:%-d %B %Y}", amount_cents=news.amount_cents,
        currency=news.currency, credits=amount, receipt_url=news.receipt_url, created_at=news.created_at,
        paid_at=news.paid_at,
    )  # fmt: skip
    if is_news and news.is_paid and amount:
        ledger.add(
            workspace.pk,
            amount,
            Entry.Kind.RENEWAL,
            reference=reference_of(provider.name, news.invoice),
            reason=payment.description,
            expires_at=ends_at + RENEWAL_OVERLAP,
        )
    if is_news and not news.is_paid and not news.is_first:
        letters.payment_failed(workspace, payment, grace_of(news.created_at))
    follow(provider, news.customer, workspace)


def _worth(news: InvoiceNews) -> tuple[Plan, int, datetime]:
    """The plan of an invoice, its credits, and the end of what it pays for.

    A line for a whole period brings the plan's credits; one for a part of it, because the plan changed meanwhile,
    brings or takes as large a share of them as it is of the price.
    """
    worth, found = Fraction(), []
    for line in news.lines:
        plan = _plan_of_line(news, line)
        if plan is not None:
            worth += (plan.credits_per_month or 0) * _share_of(line, plan)
            found.append((not line.is_part, line.amount_cents, line.ends_at, plan))
    if not found:
        prices = ", ".join(line.price for line in news.lines) or "none"
        raise Unsettled(f"no plan has one of the invoice's prices at the provider: {prices}")
    _, _, ends_at, plan = max(found, key=lambda row: row[:3])
    return plan, max(0, round(worth)), ends_at


def _share_of(line: Line, plan: Plan) -> Fraction:
    if not line.is_part:
        return Fraction(1)
    return Fraction(line.amount_cents, plan.price_cents) if plan.price_cents else Fraction()


def _plan_of_line(news: InvoiceNews, line: Line) -> Plan | None:
    """None for what was put on the invoice beside the plan."""
    try:
        return plan_of(line.price, news.plan if line.is_of_plan else "")
    except Unsettled:
        return None


def _intent(provider: Provider, news: IntentNews) -> None:
    found = Payment.objects.filter(provider=provider.name, provider_id=news.invoice)
    if not found.update(payment_intent=news.payment_intent):
        raise Unsettled(f"the invoice {news.invoice} is not known here yet")


def _receipt(provider: Provider, news: ReceiptNews) -> None:
    found = Payment.objects.filter(provider=provider.name, payment_intent=news.payment_intent)
    if not found.exists():
        raise Unsettled(f"the payment {news.payment_intent} is not known here yet")
    found.filter(receipt_url="").update(receipt_url=news.url)


def _record(
    provider: Provider, workspace: Workspace, provider_id: str, kind: Payment.Kind, state: State, **columns: Any
) -> tuple[Payment, bool]:
    """The payment's row, moved forward to `state`; and whether that is news."""
    payment, is_new = Payment.objects.select_for_update().get_or_create(
        provider=provider.name,
        provider_id=provider_id,
        defaults={"workspace_id": workspace.pk, "kind": kind, "state": state, **columns},
    )
    if is_new:
        return payment, True
    is_forward = _FORWARD.index(state) > _FORWARD.index(State(payment.state))
    if is_forward:
        for name, value in {"state": state, **columns}.items():
            setattr(payment, name, value)
        payment.save()
    return payment, is_forward


def _workspace(provider: Provider, customer: str) -> Workspace:
    """Whose customer it is; held until the end of the transaction, so that news of one come one by one."""
    found = (
        Customer.objects.select_for_update(of=("self",))
        .select_related("workspace")
        .filter(provider=provider.name, provider_id=customer)
        .first()
    )
    if found is None:
        raise Unsettled(f"no workspace is the customer {customer} at {provider.name}")
    return found.workspace


def _tell(trouble: Trouble) -> None:
    alert(trouble.subject, trouble.text, key=trouble.key)
