"""The ledger of credits: accounts, and entries that move whole credits from one account to another.

Every transfer takes from one account what it gives to another, so the sum over all accounts is always zero.
Entries and transfers are written once: triggers in PostgreSQL refuse to change or delete them, keep the balances
of the workspaces' accounts, and refuse one below zero. Only `billing.ledger` writes here.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from mutoscope.ids import new_id


class Account(models.Model):
    """Where credits are.

    A workspace has one account of `credits` for each grant or purchase, so that each can expire by itself, and one
    of credits that are `held` for its jobs. The others are the platform's, one of each: where credits come from
    (`granted`, `sold`, `adjusted`) and where they go (`spent`, `expired`). Those may be below zero, and their
    balances are not kept but summed up when somebody asks.

    `workspace_id` is no foreign key: what was paid stays in the books when a workspace is gone.
    """

    class Kind(models.TextChoices):
        CREDITS = "credits"
        HELD = "held"
        GRANTED = "granted"
        SOLD = "sold"
        ADJUSTED = "adjusted"
        SPENT = "spent"
        EXPIRED = "expired"

    WORKSPACES = (Kind.CREDITS, Kind.HELD)
    PLATFORMS = (Kind.GRANTED, Kind.SOLD, Kind.ADJUSTED, Kind.SPENT, Kind.EXPIRED)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    workspace_id = models.UUIDField(null=True, blank=True)
    balance = models.BigIntegerField(
        default=0, editable=False, help_text="Kept by a trigger; the workspaces' only."
    )
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="What is left then is gone. Empty is never."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["workspace_id", "expires_at"], name="account_with_credits",
                condition=Q(kind="credits", balance__gt=0),
            ),
            models.Index(
                fields=["expires_at"], name="account_to_expire",
                condition=Q(kind="credits", balance__gt=0, expires_at__isnull=False),
            ),
        ]  # fmt: skip
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["credits", "held"], workspace_id__isnull=False)
                | Q(
                    kind__in=["granted", "sold", "adjusted", "spent", "expired"],
                    workspace_id__isnull=True,
                    balance=0,
                ),
                name="account_is_a_workspaces_or_the_platforms",
            ),
            models.CheckConstraint(condition=Q(balance__gte=0), name="account_not_below_zero"),
            models.CheckConstraint(
                condition=Q(kind="credits") | Q(expires_at__isnull=True), name="account_of_credits_expires"
            ),
            models.UniqueConstraint(fields=["workspace_id"], condition=Q(kind="held"), name="account_held_once"),
            models.UniqueConstraint(
                fields=["kind"], condition=Q(workspace_id__isnull=True), name="account_platform_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.workspace_id}" if self.workspace_id else str(self.kind)


class Entry(models.Model):
    """One thing that happened, with the transfers that it made. Written once, never changed.

    There is one of each kind for a job, and one of each kind for a reference: who says the same twice changes
    nothing.
    """

    class Kind(models.TextChoices):
        GRANT = "grant", "grant by an operator"
        RENEWAL = "renewal", "the plan's credits of a month"
        PURCHASE = "purchase"
        REVERSAL = "reversal", "purchase paid back"
        ADJUSTMENT = "adjustment", "adjustment by an operator"
        EXPIRY = "expiry"
        HOLD = "hold", "held for a job"
        CAPTURE = "capture", "paid for a job"
        RELEASE = "release", "given back of a hold"

    kind = models.CharField(max_length=10, choices=Kind)
    workspace_id = models.UUIDField()
    job_id = models.UUIDField(null=True, blank=True)
    reference = models.CharField(max_length=200, blank=True, help_text="What it is of: a month, a payment.")
    reason = models.CharField(max_length=300, blank=True)
    made_by_id = models.UUIDField(null=True, blank=True)
    made_by_name = models.CharField(max_length=254, blank=True, help_text="Kept when the account is gone.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "entries"
        ordering = ["-id"]
        indexes = [models.Index(fields=["workspace_id", "-id"], name="entry_of_workspace")]
        constraints = [
            models.UniqueConstraint(
                fields=["job_id", "kind"], condition=Q(job_id__isnull=False), name="entry_once_for_a_job"
            ),
            models.UniqueConstraint(
                fields=["kind", "reference"], condition=~Q(reference=""), name="entry_once_for_a_reference"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["hold", "capture", "release"], job_id__isnull=False)
                | (~Q(kind__in=["hold", "capture", "release"]) & Q(job_id__isnull=True)),
                name="entry_of_a_job_names_it",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M}"


class Transfer(models.Model):
    """Whole credits that an entry took from one account and gave to another. Written once, never changed."""

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="transfers")
    source = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    target = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    amount = models.BigIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_moves_something"),
            models.CheckConstraint(condition=~Q(source=F("target")), name="transfer_between_two"),
            models.UniqueConstraint(fields=["entry", "source", "target"], name="transfer_once_in_an_entry"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} from {self.source_id} to {self.target_id}"
