"""What is put on clips, and what is found in them: visible marks and quality."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from assets.models import Asset
from generation.models.jobs import Job
from mutoscope.accounts.models import Workspace


def _picture_place(mark: VisibleMark, filename: str) -> str:
    return f"marks/{mark.workspace_id or 'operator'}/{filename}"


class VisibleMark(models.Model):
    """A text or picture that is drawn on clips: the operator's (without workspace), or a workspace's own.

    The operator's is drawn where the plan says `watermark`, a workspace's own on all its clips while it is on.
    """

    class Position(models.TextChoices):
        TOP_LEFT = "top_left"
        TOP_RIGHT = "top_right"
        BOTTOM_LEFT = "bottom_left"
        BOTTOM_RIGHT = "bottom_right"
        CENTER = "center"

    workspace = models.OneToOneField(
        Workspace, null=True, blank=True, on_delete=models.CASCADE, related_name="visible_mark"
    )
    is_on = models.BooleanField(default=True)
    text = models.CharField(max_length=60, blank=True, help_text="Drawn where there is no picture.")
    picture = models.FileField(
        upload_to=_picture_place, max_length=255, blank=True, help_text="PNG, may be see-through."
    )
    position = models.CharField(max_length=12, choices=Position, default=Position.BOTTOM_RIGHT)
    size = models.FloatField(
        default=0.22,
        validators=[MinValueValidator(0.05), MaxValueValidator(1.0)],
        help_text="Width of the mark, as a share of the frame's.",
    )
    opacity = models.FloatField(default=0.6, validators=[MinValueValidator(0.1), MaxValueValidator(1.0)])
    drifts = models.BooleanField(
        default=False, help_text="It wanders over the frame, so that it cannot be cropped off."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace"], condition=Q(workspace=None), nulls_distinct=False, name="one_operator_mark"
            ),
            models.CheckConstraint(condition=~Q(text="") | ~Q(picture=""), name="mark_shows_something"),
            models.CheckConstraint(
                condition=Q(size__gte=0.05, size__lte=1.0, opacity__gte=0.1, opacity__lte=1.0),
                name="mark_can_be_seen",
            ),
        ]

    def __str__(self) -> str:
        return "the operator's mark" if self.workspace_id is None else f"the mark of {self.workspace_id}"


class ClipCheck(models.Model):
    """What was measured in the clip that an attempt made, and what was concluded. Kept for broken clips, too."""

    class Verdict(models.TextChoices):
        GOOD = "good"
        DOUBTFUL = "doubtful"
        BROKEN = "broken"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="clip_checks")
    attempt = models.PositiveIntegerField()
    asset = models.OneToOneField(
        Asset,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="quality",
        help_text="The clip; empty: it was not kept.",
    )
    seed = models.BigIntegerField()
    verdict = models.CharField(max_length=8, choices=Verdict)
    problems = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    measured = models.JSONField(default=dict, help_text="Name → value; null where it does not apply.")
    checked_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["job", "attempt"], name="clip_checked_once")]
        indexes = [models.Index(fields=["verdict", "-id"], name="clip_check_verdict")]

    def __str__(self) -> str:
        return f"{self.verdict}: {', '.join(self.problems) or 'nothing found'}"
