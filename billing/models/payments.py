"""What workspaces buy: packs, payments, and what the payment provider told us."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from mutoscope.accounts.models import Workspace
from mutoscope.ids import new_id


class CreditPack(models.Model):
    """A number of credits that can be bought at once."""

    slug = models.SlugField(primary_key=True)
    name = models.CharField(max_length=60)
    credits = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    price_cents = models.PositiveIntegerField(help_text="In hundredths of the currency.")
    currency = models.CharField(max_length=3, default="usd", help_text="ISO 4217, in small letters.")
    valid_days = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: the credits never expire.")
    stripe_price = models.CharField(
        max_length=100, blank=True, help_text="The id of its price at Stripe (price_…): it can then be bought."
    )
    is_offered = models.BooleanField(default=True)

    class Meta:
        ordering = ["price_cents"]

    def __str__(self) -> str:
        return self.name


class Customer(models.Model):
    """A workspace as the payment provider knows it."""

    workspace = models.OneToOneField(
        Workspace, primary_key=True, on_delete=models.CASCADE, related_name="payment_customer"
    )
    provider = models.CharField(max_length=20)
    provider_id = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "provider_id"], name="customer_once")]

    def __str__(self) -> str:
        return f"{self.workspace} at {self.provider}"


class Payment(models.Model):
    """Money that a workspace paid, or was asked for. `workspace_id` is no foreign key: the books outlive it."""

    class Kind(models.TextChoices):
        PACK = "pack"
        SUBSCRIPTION = "subscription"

    class State(models.TextChoices):
        OPEN = "open"
        PAID = "paid"
        FAILED = "failed"
        REFUNDED = "refunded", "paid back"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace_id = models.UUIDField()
    provider = models.CharField(max_length=20)
    provider_id = models.CharField(max_length=100, help_text="Of the invoice or check-out session there.")
    payment_intent = models.CharField(max_length=100, blank=True, help_text="What refunds name.")
    kind = models.CharField(max_length=12, choices=Kind)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    description = models.CharField(max_length=200)
    amount_cents = models.PositiveIntegerField()
    refunded_cents = models.PositiveIntegerField(default=0)
    currency = models.CharField(max_length=3)
    credits = models.PositiveIntegerField(default=0)
    receipt_url = models.URLField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["workspace_id", "-created_at"], name="payment_of_workspace"),
            models.Index(fields=["payment_intent"], name="payment_by_intent", condition=~Q(payment_intent="")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["provider", "provider_id"], name="payment_once"),
            models.CheckConstraint(
                condition=Q(refunded_cents__lte=F("amount_cents")), name="payment_refunds_what_was_paid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.description}: {self.amount_cents / 100:.2f} {self.currency}"


class ProviderEvent(models.Model):
    """A webhook as the provider sent it, kept so that each takes effect once, in whatever order they come."""

    provider = models.CharField(max_length=20)
    event_id = models.CharField(max_length=100)
    kind = models.CharField(max_length=80)
    created_at = models.DateTimeField(help_text="The provider's time.")
    received_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, help_text="Why it could not take effect; it is tried again.")
    payload = models.JSONField()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["received_at"], name="event_to_process", condition=Q(processed_at__isnull=True))
        ]
        constraints = [models.UniqueConstraint(fields=["provider", "event_id"], name="provider_event_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"
