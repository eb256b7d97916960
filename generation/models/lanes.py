"""Lanes as the claim sees them: who waits in each, whose turn it is, and what the operator has paused.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): every flow has a *start tag* on the lane's virtual
clock. The flow with the smallest tag is next; its tag then moves on by the work it was given, divided by its
weight. A flow that comes back from idleness starts at the lane's clock, so nobody saves up turns.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from mutoscope.accounts.models import User, Workspace


class Flow(models.Model):
    """The queued jobs of one workspace in one lane, summed up: all that a claim needs to look at.

    Only `scheduling.flows` writes these rows, with the workspace's row locked. Virtual time is in milliseconds of
    work divided by weight.
    """

    lane = models.CharField(max_length=60)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    tag = models.BigIntegerField(default=0, help_text="Virtual time at which its first waiting job may start.")
    weight = models.PositiveIntegerField(default=1, help_text="Of the workspace's plan, as it was last looked up.")
    waiting = models.PositiveIntegerField(default=0, help_text="Queued jobs.")
    waiting_ms = models.PositiveBigIntegerField(default=0, help_text="The work in them.")
    priority = models.SmallIntegerField(default=0, help_text="The highest among them.")
    oldest_at = models.DateTimeField(null=True, help_text="When the one that is next joined the lane.")
    throttled = models.BooleanField(default=False, help_text="The workspace runs as many as its plan lets it.")

    class Meta:
        indexes = [
            models.Index(
                fields=["lane", "-priority", "tag", "id"],
                name="flow_claim",
                condition=Q(waiting__gt=0, throttled=False),
            ),
            models.Index(
                fields=["lane", "oldest_at"], name="flow_oldest", condition=Q(waiting__gt=0, throttled=False)
            ),
            models.Index(fields=["workspace"], name="flow_throttled", condition=Q(throttled=True)),
        ]
        constraints = [models.UniqueConstraint(fields=["lane", "workspace"], name="flow_once")]

    def __str__(self) -> str:
        return f"{self.waiting} waiting in {self.lane}"


class LaneClock(models.Model):
    """A lane's virtual time: the start tag of the job claimed last. Its row is the lock of the lane's claims."""

    lane = models.CharField(max_length=60, primary_key=True)
    virtual_time = models.BigIntegerField(default=0)
    hourly_jobs = models.FloatField(default=0.0, help_text="Jobs that joined it in an hour of late: for ETAs.")
    hourly_ms = models.FloatField(default=0.0, help_text="The work in them.")

    def __str__(self) -> str:
        return self.lane


class Pause(models.Model):
    """An operator has stopped claims from a lane, from a model's lanes, or from all of them.

    Jobs under way go on, and new ones are accepted and wait; their deadlines still hold.
    """

    EVERYTHING = "*"

    scope = models.CharField(
        max_length=60,
        primary_key=True,
        help_text="A lane (preview.paid), a model (preview), or * for everything.",
    )
    reason = models.CharField(max_length=200, blank=True, help_text="For the users whose jobs wait.")
    paused_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    paused_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return "everything" if self.scope == self.EVERYTHING else self.scope
