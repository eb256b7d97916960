"""What a payment provider does for us, and what it tells us, in words that are not any provider's own.

A provider's events are *read* into news; `billing.payments.effects` says what each piece of news does to our rows.
So a second provider needs a reader and check-outs, and no second set of rules about money.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from billing.models import CreditPack, Payment, Plan
from mutoscope.accounts.models import Workspace
from mutoscope.errors import Conflict, Refusal


class NotSoldOnline(Conflict):
    """Nothing can be bought here, or not this. The message says whom to ask."""

    code = "not_sold_online"


class ProviderUnavailable(Refusal):
    """The payment provider did not do what was asked of it. Nothing has been charged."""

    status = 502
    code = "payment_provider_unavailable"


class NotGenuine(Refusal):
    """A webhook that the provider did not send, or not lately."""

    code = "signature_invalid"


class Unsettled(Exception):
    """News that cannot take effect now, and why: what it is about is not known here, or not yet."""


@dataclass(frozen=True, slots=True)
class Back:
    """Where the provider sends people when they are done there: absolute addresses of ours."""

    bought: str
    cancelled: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A webhook that certainly comes from the provider. `created_at` is the provider's time."""

    event_id: str
    kind: str
    created_at: datetime
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackNews:
    """A check-out of a pack: paid, still open (a bank takes days), or failed. `at` is when."""

    customer: str
    check_out: str
    payment_intent: str
    state: Payment.State
    name: str
    credits: int
    valid_days: int | None
    amount_cents: int
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionNews:
    """How a subscription stood at `at`."""

    customer: str
    subscription: str
    begun_at: datetime
    at: datetime
    price: str
    plan: str
    """The plan's slug as it was when it was bought; counts where no plan has the price any more."""
    is_live: bool
    """It is to be served: paid for, in a trial, or late with a payment."""
    is_late: bool
    """A payment is overdue: it is served for a time of grace."""
    is_over: bool
    """It has ended for good, or never began."""
    paid_until: datetime
    ends_at: datetime | None
    """It has been cancelled, and runs until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of an invoice."""

    price: str
    amount_cents: int
    is_of_plan: bool
    """And not something that was put on the invoice beside it."""
    is_part: bool
    """It is for a part of a period, because the plan changed within it."""
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceNews:
    """An invoice of a subscription that was paid, or could not be collected."""

    customer: str
    invoice: str
    plan: str
    """As in `SubscriptionNews`."""
    lines: tuple[Line, ...]
    is_paid: bool
    is_first: bool
    """Of the subscription: the person stands before the till and is told there."""
    amount_cents: int
    currency: str
    receipt_url: str
    created_at: datetime
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class IntentNews:
    """By which payment an invoice was paid: refunds name the payment, and not the invoice."""

    invoice: str
    payment_intent: str


@dataclass(frozen=True, slots=True)
class ReceiptNews:
    """Where the receipt of a payment can be seen."""

    payment_intent: str
    url: str


@dataclass(frozen=True, slots=True)
class RefundNews:
    """How much of a payment has been paid back by now, all refunds together."""

    payment_intent: str
    refunded_cents: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that only a person can deal with: a dispute, a refund that failed."""

    subject: str
    text: str
    key: str


News: TypeAlias = (
    PackNews | SubscriptionNews | InvoiceNews | IntentNews | ReceiptNews | RefundNews | Trouble
)  # fmt: skip


def reference_of(provider: str, provider_id: str) -> str:
    """By what the ledger knows the credits of a payment."""
    return f"{provider} {provider_id}"


class Provider(Protocol):
    """A way to pay. All of it may be called from several threads at once."""

    name: str
    """As it stands in our rows."""
    sells: bool
    """Whether anything can be bought online. Where not, every check-out SHALL raise `NotSoldOnline`."""

    def check_out_pack(self, workspace: Workspace, pack: CreditPack, back: Back, once: UUID) -> str:
        """Begin to buy a pack. Returns the address to send the person to.

        The same `once` SHALL lead to the same check-out, so that a double click buys once. SHALL raise
        `ProviderUnavailable` where the provider does not answer or refuses.
        """

    def check_out_plan(self, workspace: Workspace, plan: Plan, back: Back, once: UUID) -> str:
        """Begin to subscribe to a plan. As `check_out_pack`."""

    def portal(self, workspace: Workspace, back: str) -> str:
        """The address where people change cards, plans and see their invoices. Raises as `check_out_pack`."""

    def hear(self, body: bytes, signature: str) -> Heard:
        """A webhook, once it is certain who sent it and that it is fresh. SHALL raise `NotGenuine` for others."""

    def read(self, payload: dict[str, Any]) -> News | None:
        """What an event says; None where it says nothing to us. SHALL be a function of the payload alone.

        SHALL raise `Unsettled` for an event that it should understand, but cannot.
        """

    def forget(self, customer: str) -> None:
        """End the customer's subscriptions, and have the provider delete what it knows of them and need not keep.

        One that it does not know, or no longer, is no error. SHALL raise `ProviderUnavailable` as check-outs do.
        """

    def without_people(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The event without anything that it says of people. SHALL be read as before, but for receipts."""

    def subscriptions_of(self, customer: str) -> list[SubscriptionNews]:
        """The latest news of each of the customer's subscriptions, of all events that were ever kept."""
