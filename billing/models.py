"""Plans, and which workspace is on which."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from billing.tiers import Tier
from mutoscope.accounts.models import Workspace


class Plan(models.Model):
    """What a workspace may use. Rows, so that operators change them in the admin."""

    slug = models.SlugField(primary_key=True)
    name = models.CharField(max_length=60)
    tiers = ArrayField(
        models.CharField(max_length=10, choices=Tier),
        help_text="Tiers that jobs may run in; the first is the one taken when none is asked for.",
    )
    queued_jobs = models.PositiveIntegerField(help_text="Jobs that may wait at once in a workspace.")
    concurrent_jobs = models.PositiveIntegerField(
        default=2, validators=[MinValueValidator(1)], help_text="Jobs that may run at once in a workspace."
    )
    weight = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Share of a lane beside other workspaces: 4 gets four times as much as 1.",
    )
    is_default = models.BooleanField(default=False, help_text="The plan of workspaces that have chosen none.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="one_default_plan"
            ),
            models.CheckConstraint(condition=models.Q(tiers__len__gt=0), name="plan_has_a_tier"),
            models.CheckConstraint(
                condition=models.Q(weight__gt=0, concurrent_jobs__gt=0), name="plan_lets_something_run"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """The plan that a workspace is on; a workspace without one is on the default plan."""

    workspace = models.OneToOneField(
        Workspace, primary_key=True, on_delete=models.CASCADE, related_name="subscription"
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    since = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.workspace} on {self.plan}"
