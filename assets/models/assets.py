"""Pictures, clips and sounds: shape and constraints."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from django.db import models
from django.db.models import Q

from mutoscope.accounts.models import User, Workspace
from mutoscope.ids import new_id


def folder_of(workspace_id: UUID, asset_id: UUID) -> str:
    """Where the files of an asset are kept: by workspace and asset, so that a name is never taken twice."""
    return f"workspaces/{workspace_id}/{asset_id}"


def _place(asset: Asset, filename: str) -> str:
    return f"{folder_of(asset.workspace_id, asset.pk)}/{filename}"


class Asset(models.Model):
    """A picture, clip or sound that a workspace owns: uploaded, or made by a job.

    `file` is what is served and generated from: upright, sRGB, without metadata. `sha256` is of the bytes as
    they were uploaded (for clips: as they were made).

    ```
    in the library ── delete ──▶ in the trash (`deleted_at`) ── at `discard_at` ──▶ without files (`discarded_at`)
                   ◀─ restore ──
    ```

    The row stays, for the history of jobs refers to it.
    """

    class Kind(models.TextChoices):
        IMAGE = "image"
        VIDEO = "video"
        AUDIO = "audio"

    class Origin(models.TextChoices):
        UPLOADED = "uploaded"
        GENERATED = "generated"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="assets")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    kind = models.CharField(max_length=5, choices=Kind)
    origin = models.CharField(max_length=9, choices=Origin)
    name = models.CharField(max_length=255, help_text="The file's name as it was uploaded.")
    media_type = models.CharField(max_length=60, help_text="Of the file that is served.")
    uploaded_type = models.CharField(max_length=60, help_text="Of the file that was uploaded, by its content.")
    size_bytes = models.BigIntegerField(help_text="Of the file that is served.")
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField(null=True, blank=True, help_text="Pixels.")
    height = models.PositiveIntegerField(null=True, blank=True, help_text="Pixels.")
    seconds = models.FloatField(null=True, blank=True)
    fps = models.FloatField(null=True, blank=True)
    color = models.CharField(max_length=7, blank=True, help_text="Average colour, shown until it has loaded.")
    file = models.FileField(upload_to=_place, max_length=255)
    thumbnail = models.FileField(upload_to=_place, max_length=255, blank=True)

    # Of clips that were made here.
    master = models.FileField(
        upload_to=_place,
        max_length=255,
        blank=True,
        help_text="The clip without visible mark, in high quality: what it is given in other forms from. "
        "Empty where `file` serves.",
    )
    poster = models.FileField(upload_to=_place, max_length=255, blank=True, help_text="One frame, full size.")
    preview = models.FileField(upload_to=_place, max_length=255, blank=True, help_text="Small, moving, silent.")
    strip = models.FileField(
        upload_to=_place, max_length=255, blank=True, help_text="Frames beside each other, for scrubbing."
    )
    strip_tiles = models.PositiveSmallIntegerField(default=0, help_text="Frames in the strip.")
    is_marked = models.BooleanField(default=False, help_text="`file` carries a visible mark.")
    provenance = models.JSONField(
        default=dict, blank=True, help_text="What the manifest signed into `file` says; empty is none."
    )

    # What was found out about pictures.
    portrait = models.JSONField(
        null=True, blank=True, help_text="Whether it will do as a portrait; empty: not asked."
    )
    moderation = models.JSONField(null=True, blank=True, help_text="What moderation found; empty: not looked at.")

    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    discard_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When its files are to go from storage; till then it can be restored.",
    )
    discarded_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when its files are gone from storage."
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="asset_library", condition=Q(deleted_at=None)),
            models.Index(
                fields=["discard_at"], name="asset_trash", condition=Q(deleted_at__isnull=False, discarded_at=None)
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="audio") | Q(width__gt=0, height__gt=0), name="asset_seen_has_size"
            ),
            models.CheckConstraint(condition=Q(kind="image") | Q(seconds__gt=0), name="asset_timed_has_length"),
            models.CheckConstraint(
                condition=Q(discarded_at=None) | Q(deleted_at__isnull=False), name="asset_discarded_was_deleted"
            ),
            models.CheckConstraint(
                condition=Q(deleted_at=None, discard_at=None)
                | Q(deleted_at__isnull=False, discard_at__isnull=False),
                name="asset_in_trash_has_end",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def file_name(self) -> str:
        """What `file` is called when it is saved: as it was uploaded, with the ending of what it is now."""
        return Path(self.name).stem + Path(self.file.name or "").suffix
