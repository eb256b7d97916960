"""Other forms of a clip: shape and constraints."""

from __future__ import annotations

from pathlib import PurePath

from django.db import models
from django.db.models import Q

from assets.models.assets import Asset, folder_of
from mutoscope.ids import new_id


def _place(rendition: Rendition, filename: str) -> str:
    return f"{folder_of(rendition.asset.workspace_id, rendition.asset_id)}/{filename}"


class Rendition(models.Model):
    """A clip in another form: format, quality, frame rate, loop, with or without visible mark.

    Made once from the clip's master and kept beside it; whoever asks for the same form again gets the same row.

    ```
    queued ── claim ──▶ making ──▶ ready
       ▲ ▲                │ │
       │ └── lease lost ◀─┘ └────▶ failed
       └────── asked for again ──────┘
    ```

    One that is a reissue takes the place of the clip's own file when it is made, and its row is gone.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        MAKING = "making"
        READY = "ready"
        FAILED = "failed"

    OPEN = frozenset({State.QUEUED, State.MAKING})
    """It is not made yet."""
    ENDED = frozenset({State.READY, State.FAILED})
    """Nobody is at it, or will be."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="renditions")

    # What was asked for, complete.
    format = models.CharField(max_length=20)
    quality = models.CharField(max_length=10)
    fps = models.PositiveIntegerField(null=True, blank=True, help_text="Empty is the clip's own.")
    width = models.PositiveIntegerField(null=True, blank=True, help_text="Pixels. Empty is the clip's own.")
    loop = models.CharField(
        max_length=10, blank=True, help_text="How its end meets its beginning; empty: it does not."
    )
    mark = models.CharField(
        max_length=64, blank=True, help_text="Digest of the visible mark that it carries; empty is none."
    )
    is_reissue = models.BooleanField(default=False, help_text="It is to take the place of the clip's own file.")

    state = models.CharField(max_length=6, choices=State, default=State.QUEUED)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    file = models.FileField(upload_to=_place, max_length=255, blank=True)
    media_type = models.CharField(max_length=60, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(auto_now_add=True, help_text="When it was last asked for.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["asset", "format", "quality", "fps", "width", "loop", "mark", "is_reissue"],
                name="rendition_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=~Q(state="ready") | ~Q(file=""), name="rendition_ready_has_file"),
            models.CheckConstraint(
                condition=~Q(state="making") | Q(lease_expires_at__isnull=False), name="rendition_making_has_lease"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="rendition_open", condition=Q(state__in=["queued", "making"])),
            models.Index(fields=["used_at"], name="rendition_used", condition=Q(state__in=["ready", "failed"])),
        ]

    def __str__(self) -> str:
        return f"{self.format} of {self.asset_id}"

    @property
    def file_name(self) -> str:
        """What the file is called when somebody saves it."""
        return f"{PurePath(self.asset.file_name).stem}{PurePath(self.file.name or '').suffix}"
