"""Jobs, their attempts and their events: shapes and constraints."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models
from django.db.models import Q

from assets.models import Asset
from billing.tiers import Tier
from mutoscope.accounts.models import ApiKey, User, Workspace
from mutoscope.ids import new_id

MAX_SEED = 2**32 - 1


class NextMark(models.Func):
    """The next number for an invisible watermark, from a sequence of the database's."""

    template = "nextval('generation_job_mark')"
    output_field = models.BigIntegerField()
    arity = 0


def last_mark() -> int:
    """The highest number that was ever given out for a watermark; 0 before the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM generation_job_mark")
        (last,) = cursor.fetchone()
    return int(last)


class Job(models.Model):
    """One clip that somebody asked for.

    ```
      not_before        claim              frames made           clip published
    scheduled ─▶ queued ───────────▶ running ─────────────▶ finishing ──────────▶ succeeded
                  ▲  │                │ │                    │ │ │
                  │  │                │ └── given back,  ◀───┘ │ │
                  └──┼────────────────┘     lease lost         │ └─▶ failed     (from any state before the end)
                     └─────────── cancel ──────────────────────┴───▶ cancelled  (likewise)
    ```

    `attempt` is the fence: whoever holds attempt n may change the job only while `attempt` is n and
    `lease_expires_at` lies ahead. Every change of state is one conditional UPDATE in `generation.transitions`.
    *Throttled* is no state: it is a queued job whose workspace runs as many as its plan lets it
    (`Flow.throttled`).
    """

    class State(models.TextChoices):
        SCHEDULED = "scheduled"
        QUEUED = "queued"
        RUNNING = "running"
        FINISHING = "finishing"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    HELD = frozenset({State.RUNNING, State.FINISHING})
    """A worker holds the job."""
    WAITING = frozenset({State.SCHEDULED, State.QUEUED})
    """No worker has the job."""
    ACTIVE = HELD | WAITING
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
    last_picture = models.ForeignKey(
        Asset,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="What it ends on.",
    )
    prompt = models.TextField(blank=True)
    negative_prompt = models.TextField(blank=True)
    size = models.CharField(max_length=40)
    width = models.PositiveIntegerField(help_text="Pixels.")
    height = models.PositiveIntegerField(help_text="Pixels.")
    seconds = models.FloatField()
    fps = models.PositiveIntegerField()
    frames = models.PositiveIntegerField(help_text="Of the finished clip.")
    engine_width = models.PositiveIntegerField(help_text="Pixels that the engine makes; the rest is cropped off.")
    engine_height = models.PositiveIntegerField(help_text="Likewise.")
    engine_frames = models.PositiveIntegerField(help_text="That the engine makes; the rest is trimmed off.")
    preset = models.CharField(max_length=10, blank=True, help_text="Empty in models that have none.")
    adapters = models.JSONField(default=list, blank=True, help_text="A list of {name, strength}.")
    steps = models.PositiveIntegerField(null=True, blank=True)
    guidance = models.FloatField(null=True, blank=True)
    sound = models.ForeignKey(
        Asset,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Laid under the clip; empty is the model's own, if it makes any.",
    )
    seed = models.BigIntegerField(validators=[MinValueValidator(0), MaxValueValidator(MAX_SEED)])
    is_reseeded = models.BooleanField(
        default=False, help_text="`seed` is another than was asked for: the first one made a broken clip."
    )

    # What the frames become.
    format = models.CharField(max_length=20, default="mp4", help_text="Of the clip that is delivered.")
    quality = models.CharField(max_length=10, default="standard", help_text="How hard it is compressed.")
    output_fps = models.PositiveIntegerField(
        null=True, blank=True, help_text="Frames a second that it is interpolated to; empty is `fps`."
    )
    loop = models.CharField(
        max_length=10, blank=True, help_text="How its end meets its beginning; empty: it does not."
    )
    mark = models.BigIntegerField(
        unique=True,
        db_default=NextMark(),
        editable=False,
        help_text="What the invisible watermark says: a number of at most 48 bits, from a sequence.",
    )

    credits = models.PositiveIntegerField(default=0, help_text="The price at which it was accepted.")
    idempotency_key = models.CharField(max_length=255, blank=True, editable=False)
    request_digest = models.CharField(max_length=64, blank=True, editable=False)
    not_before = models.DateTimeField(null=True, blank=True, help_text="It joins its lane then, not earlier.")
    deadline = models.DateTimeField(help_text="A job that has not ended by then fails.")

    # What the claim goes by.
    work_ms = models.PositiveBigIntegerField(
        default=1,
        help_text="Expected milliseconds of an engine: what its workspace's turn is charged.",
    )
    priority = models.SmallIntegerField(
        default=0, help_text="Higher goes first, before fairness. Operators set it."
    )
    queued_at = models.DateTimeField(null=True, blank=True, help_text="When it joined its lane.")
    avoid = models.CharField(
        max_length=120, blank=True, help_text="The place (host and GPU) where it failed by the machine's fault."
    )

    # Where it stands.
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0, help_text="The number of its latest attempt: the fence.")
    failures = models.PositiveIntegerField(default=0, help_text="Attempts that count against the cap.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    memory_plan = models.CharField(max_length=20, blank=True, help_text="Empty is the model's first.")
    checkpoint = models.CharField(max_length=200, blank=True, help_text="Its name in the storage; empty is none.")
    checkpoint_step = models.PositiveIntegerField(default=0, help_text="Steps that the checkpoint spares.")
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
            models.Index(
                fields=["lane", "workspace", "-priority", "id"], name="job_flow", condition=Q(state="queued")
            ),
            models.Index(
                fields=["lane", "-priority"], name="job_boosted", condition=Q(state="queued", priority__gt=0)
            ),
            models.Index(fields=["not_before"], name="job_scheduled", condition=Q(state="scheduled")),
            models.Index(
                fields=["deadline"],
                name="job_deadline",
                condition=Q(state__in=["scheduled", "queued", "running", "finishing"]),
            ),
            models.Index(
                fields=["lease_expires_at"], name="job_lease", condition=Q(state__in=["running", "finishing"])
            ),
            models.Index(fields=["workspace", "-id"], name="job_history"),
            models.Index(fields=["workspace", "ended_at"], name="job_usage", condition=Q(ended_at__isnull=False)),
            models.Index(
                fields=["workspace", "created_at"],
                include=["seconds"],
                name="job_quota",
                condition=~Q(state__in=["failed", "cancelled"]),
            ),
            models.Index(
                fields=["workspace"],
                name="job_active",
                condition=Q(state__in=["scheduled", "queued", "running", "finishing"]),
            ),
            models.Index(
                fields=["workspace"], name="job_in_hand", condition=Q(state__in=["running", "finishing"])
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
            models.CheckConstraint(
                condition=~Q(state="scheduled") | Q(not_before__isnull=False), name="job_scheduled_has_time"
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
        EXPIRED = "expired", "deadline passed"

    class Blame(models.TextChoices):
        USER = "user", "the input's"
        MACHINE = "machine", "the machine's"
        OURS = "ours"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=120)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.UNDER_WAY)
    reason = models.TextField(blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    blame = models.CharField(max_length=7, choices=Blame, blank=True, help_text="Whose fault it was.")
    size = models.CharField(max_length=40, blank=True)
    frames = models.PositiveIntegerField(default=0)
    precision = models.CharField(max_length=10, blank=True)
    gpu = models.CharField(max_length=80, blank=True, help_text="The GPU's name; empty is none.")
    is_spot = models.BooleanField(default=False, help_text="On a machine that may be taken away: rented for less.")
    memory_plan = models.CharField(max_length=20, blank=True)
    first_step = models.PositiveIntegerField(default=0, help_text="Steps that a checkpoint spared it.")
    steps = models.PositiveIntegerField(default=0, help_text="Steps the engine has done in this attempt.")
    clip_id = models.UUIDField(
        null=True, blank=True, help_text="The asset that it may publish: files of it are waste where it does not."
    )
    claimed_at = models.DateTimeField()
    engine_started_at = models.DateTimeField(null=True, blank=True)
    engine_ended_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="attempt_once")]
        indexes = [
            models.Index(fields=["claimed_at"], name="attempt_cost"),
            models.Index(
                fields=["ended_at"], name="attempt_pace", condition=Q(engine_ended_at__isnull=False, steps__gt=0)
            ),
            models.Index(
                fields=["ended_at"],
                name="attempt_waste",
                condition=Q(clip_id__isnull=False) & ~Q(outcome__in=["under_way", "succeeded"]),
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} on {self.worker}"


class JobEvent(models.Model):
    """One change of state. The page, the API, the stream and the webhooks all read from these."""

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled"
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
