"""Jobs, their attempts and their events: shapes and constraints."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from assets.models import Asset
from billing.tiers import Tier
from mutoscope.accounts.models import ApiKey, User, Workspace
from mutoscope.ids import new_id

MAX_SEED = 2**32 - 1


class Job(models.Model):
    """One clip that somebody asked for.

    ```
              claim              frames made           clip published
    queued ───────────▶ running ─────────────▶ finishing ──────────▶ succeeded
      ▲  │                │ │                    │ │ │
      │  │                │ └── lease lost,  ◀───┘ │ │
      └──┼────────────────┘     attempts left      │ └─▶ failed      (from queued and running too)
         └─────────── cancel ──────────────────────┴───▶ cancelled   (from any state before the end)
    ```

    `attempt` is the fence: whoever holds attempt n may change the job only while `attempt` is n and
    `lease_expires_at` lies ahead. Every change of state is one conditional UPDATE in `generation.transitions`.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        FINISHING = "finishing"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    HELD = frozenset({State.RUNNING, State.FINISHING})
    """A worker holds the job."""
    ACTIVE = HELD | {State.QUEUED}
    """The job has not ended."""
    TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="jobs")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    api_key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    # What was asked for, complete: nothing is left to default when the job runs.
    model = models.CharField(max_length=40)
    tier = models.CharField(max_length=10, choices=Tier)
    lane = models.CharField(max_length=60)
    mode = models.CharField(max_length=10)
    picture = models.ForeignKey(Asset, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    prompt = models.TextField(blank=True)
    negative_prompt = models.TextField(blank=True)
    size = models.CharField(max_length=40)
    width = models.PositiveIntegerField(help_text="Pixels.")
    height = models.PositiveIntegerField(help_text="Pixels.")
    seconds = models.FloatField()
    fps = models.PositiveIntegerField()
    frames = models.PositiveIntegerField()
    steps = models.PositiveIntegerField(null=True, blank=True)
    guidance = models.FloatField(null=True, blank=True)
    seed = models.BigIntegerField(validators=[MinValueValidator(0), MaxValueValidator(MAX_SEED)])
    idempotency_key = models.CharField(max_length=255, blank=True, editable=False)
    request_digest = models.CharField(max_length=64, blank=True, editable=False)

    # Where it stands.
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    progress = models.FloatField(default=0.0, help_text="Share of the engine's steps that are done, 0 to 1.")
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    output = models.OneToOneField(Asset, null=True, blank=True, on_delete=models.SET_NULL, related_name="made_by")
    recipe = models.JSONField(default=dict, blank=True, help_text="What it takes to make the same clip again.")

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["lane", "id"], name="job_claim", condition=Q(state="queued")),
            models.Index(
                fields=["lease_expires_at"], name="job_lease", condition=Q(state__in=["running", "finishing"])
            ),
            models.Index(fields=["workspace", "-id"], name="job_history"),
            models.Index(
                fields=["workspace"],
                name="job_active",
                condition=Q(state__in=["queued", "running", "finishing"]),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="job_idempotency",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["running", "finishing"], lease_expires_at__isnull=False)
                | ~Q(state__in=["running", "finishing"]),
                name="job_held_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(state="succeeded") | Q(ended_at__isnull=False), name="job_success_has_end"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.seconds:g} s ({self.state})"


class Attempt(models.Model):
    """One worker's try at a job, kept for good: who, when, and how it ended."""

    class Outcome(models.TextChoices):
        UNDER_WAY = "under_way", "under way"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"
        RETURNED = "returned", "given back to the lane"
        LOST = "lost", "lease ran out"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=120)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.UNDER_WAY)
    reason = models.TextField(blank=True)
    claimed_at = models.DateTimeField()
    engine_started_at = models.DateTimeField(null=True, blank=True)
    engine_ended_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="attempt_once")]

    def __str__(self) -> str:
        return f"attempt {self.number} on {self.worker}"


class JobEvent(models.Model):
    """One change of state. The page, the API, the stream and the webhooks all read from these."""

    class Kind(models.TextChoices):
        QUEUED = "queued"
        STARTED = "started"
        FINISHING = "finishing"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"
        RETURNED = "returned", "given back to the lane"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10, choices=Kind)
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField()
    message = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%H:%M:%S}"
