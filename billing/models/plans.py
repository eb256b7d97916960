"""Plans, which workspace is on which, and what has been agreed with single workspaces."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.tiers import Tier
from mutoscope.accounts.models import User, Workspace

NO_LIMIT = "Empty is no limit."
LIMITS = (
    "tiers",
    "weight",
    "concurrent_jobs",
    "queued_jobs",
    "credits_per_month",
    "seconds_per_day",
    "seconds_per_month",
    "allowed_models",
    "allowed_presets",
    "max_pixels",
    "max_seconds",
    "watermark",
    "output_formats",
    "storage_mib",
    "retention_days",
    "requests_per_minute",
)
"""The columns of a plan that an override may replace for one workspace."""


def _names(size: int, help_text: str) -> Any:
    return ArrayField(models.CharField(max_length=size), default=list, blank=True, help_text=help_text)


class Plan(models.Model):
    """What a workspace may use. Rows, so that operators change them in the admin."""

    slug = models.SlugField(primary_key=True)
    name = models.CharField(max_length=60)
    summary = models.CharField(max_length=200, blank=True, help_text="For whom it is, in a sentence.")
    is_default = models.BooleanField(default=False, help_text="The plan of workspaces that have chosen none.")

    # How jobs run.
    tiers = ArrayField(
        models.CharField(max_length=10, choices=Tier),
        help_text="Tiers that jobs may run in; the first is the one taken when none is asked for.",
    )
    weight = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Share of a lane beside other workspaces: 4 gets four times as much as 1.",
    )
    concurrent_jobs = models.PositiveIntegerField(
        default=2, validators=[MinValueValidator(1)], help_text="Jobs that may run at once in a workspace."
    )
    queued_jobs = models.PositiveIntegerField(help_text="Jobs that may wait at once in a workspace.")

    # How much.
    credits_per_month = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Granted on the first of each month (UTC), gone with it. Empty: jobs need no credits.",
    )
    seconds_per_day = models.PositiveIntegerField(
        null=True, blank=True, help_text=f"Of finished video, by days in UTC. {NO_LIMIT}"
    )
    seconds_per_month = models.PositiveIntegerField(
        null=True, blank=True, help_text=f"Of finished video, by months in UTC. {NO_LIMIT}"
    )

    # Of what.
    allowed_models = _names(40, "Slugs of the models that jobs may use. Empty is all.")
    allowed_presets = _names(10, "Presets that jobs may use. Empty is all.")
    max_pixels = models.PositiveIntegerField(
        null=True, blank=True, help_text=f"Width × height of a clip at most; 1280 × 720 is 921,600. {NO_LIMIT}"
    )
    max_seconds = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.1)], help_text=f"Of one clip. {NO_LIMIT}"
    )

    # What becomes of it.
    watermark = models.BooleanField(default=False, help_text="Clips carry a visible mark.")
    output_formats = _names(20, "Formats that clips may be had in, such as mp4. Empty is all.")
    storage_mib = models.PositiveIntegerField(
        null=True, blank=True, help_text=f"Of files in the library, in MiB. {NO_LIMIT}"
    )
    retention_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Clips are removed this long after they were made. Empty keeps them.",
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=f"Of the API, all keys of a workspace together. {NO_LIMIT}",
    )

    # What it costs.
    price_cents = models.PositiveIntegerField(default=0, help_text="A month, in hundredths of the currency.")
    currency = models.CharField(max_length=3, default="usd", help_text="ISO 4217, in small letters.")
    stripe_price = models.CharField(
        max_length=100,
        blank=True,
        help_text="The id of its monthly price at Stripe (price_…): workspaces can then subscribe by themselves.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default_plan"),
            models.UniqueConstraint(
                fields=["stripe_price"], condition=~Q(stripe_price=""), name="plan_stripe_once"
            ),
            models.CheckConstraint(condition=Q(tiers__len__gt=0), name="plan_has_a_tier"),
            models.CheckConstraint(
                condition=Q(weight__gt=0, concurrent_jobs__gt=0), name="plan_lets_something_run"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """The plan that a workspace is on; a workspace without one is on the default plan.

    One that is paid for at a provider follows what the provider says. When a renewal fails it goes on until
    `grace_until`; after that the workspace falls back to the default plan.
    """

    workspace = models.OneToOneField(
        Workspace, primary_key=True, on_delete=models.CASCADE, related_name="subscription"
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    since = models.DateTimeField(auto_now=True)
    provider = models.CharField(max_length=20, blank=True, help_text="Empty: given by an operator.")
    provider_id = models.CharField(max_length=100, blank=True, help_text="Of the subscription at the provider.")
    provider_at = models.DateTimeField(
        null=True, blank=True, help_text="The provider's time of what was last heard: older news is not taken."
    )
    paid_until = models.DateTimeField(null=True, blank=True, help_text="End of the period that is paid for.")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="It has been cancelled, and runs until then.")
    grace_until = models.DateTimeField(null=True, blank=True, help_text="A renewal failed; it runs until then.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "provider_id"],
                condition=~Q(provider_id=""),
                name="subscription_once_at_provider",
            )
        ]

    def __str__(self) -> str:
        return f"{self.workspace} on {self.plan}"


class PlanOverride(models.Model):
    """One limit that is another for one workspace, for a time, and why. Of several the newest holds."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="plan_overrides")
    limit = models.CharField(max_length=40, choices=[(name, name.replace("_", " ")) for name in LIMITS])
    value = models.JSONField(
        null=True,
        blank=True,
        help_text='As the plan\'s own column takes it: 20, true, ["paid"]; null is no limit.',
    )
    reason = models.CharField(max_length=300)
    made_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(help_text="The plan's own limit holds again from then on.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["workspace", "ends_at"], name="override_in_force")]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("created_at")), name="override_ends_after_it_began")
        ]

    def __str__(self) -> str:
        return f"{self.limit} of {self.workspace}: {self.value}"

    def clean(self) -> None:
        """The value must be one that the plan's own column takes, and the end must lie ahead."""
        ends_at: datetime | None = self.ends_at  # none yet where a form has nothing for it
        if self._state.adding and ends_at is not None and ends_at <= timezone.now():
            raise ValidationError({"ends_at": f"ends_at must lie ahead, but is {ends_at:%Y-%m-%d %H:%M} UTC"})
        if self.limit in LIMITS:  # otherwise said by the field itself
            self.value = _as_column(self.limit, self.value)


def _as_column(limit: str, value: Any) -> Any:
    column = Plan._meta.get_field(limit)
    try:
        taken = column.clean(value, None)  # type: ignore[union-attr]  # a column, no relation
    except ValidationError as error:
        raise ValidationError({"value": error.messages}) from error
    except (TypeError, ValueError):  # a list where there is to be none, or the other way round
        taken = None
    # Columns make the best of what they get: 4 of 4.9, 1 of true. An agreement is meant as it was written.
    if taken != value or isinstance(taken, bool) != isinstance(value, bool):
        raise ValidationError({"value": f"{limit} cannot be {json.dumps(value)}"})
    return taken


class UsageWarning(models.Model):
    """An e-mail that was sent because a limit is nearly, or wholly, used up: once a period and threshold."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    limit = models.CharField(max_length=40)
    period = models.CharField(max_length=10, help_text="2026-11 or 2026-11-22, in UTC.")
    percent = models.PositiveSmallIntegerField()
    sent_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "limit", "period", "percent"], name="usage_warned_once")
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.limit} in {self.period}"
