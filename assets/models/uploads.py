"""Uploads that go straight to the storage: shape and constraints."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assets.models.assets import Asset
from mutoscope.accounts.models import User, Workspace
from mutoscope.ids import new_id


class Upload(models.Model):
    """A file on its way into the storage, past the web process: announced, sent in parts, completed, inspected.

    ```
    open ── complete ──▶ inspecting ──▶ ready (its asset)
     │                       │  └─────▶ refused (why)
     └── given up, too late ─┴────────▶ abandoned
    ```

    What it left in the storage is removed as soon as it has ended.
    """

    class State(models.TextChoices):
        OPEN = "open"
        INSPECTING = "inspecting"
        READY = "ready"
        REFUSED = "refused"
        ABANDONED = "abandoned"

    UNDER_WAY = (State.OPEN, State.INSPECTING)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="uploads")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField(help_text="As announced: it must have exactly as many.")
    part_bytes = models.BigIntegerField(help_text="Of each part but the last.")
    sha256 = models.CharField(
        max_length=64, blank=True, help_text="As announced, in hexadecimal; empty: it was not."
    )
    multipart_id = models.CharField(max_length=1024, blank=True, help_text="The storage's own; empty: one part.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    lease_expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Until then somebody inspects it, or it is let rest."
    )
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often it was taken up for inspection.")
    error_code = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    asset = models.OneToOneField(Asset, null=True, blank=True, on_delete=models.SET_NULL, related_name="upload")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(size_bytes__gt=0, part_bytes__gt=0), name="upload_has_size"),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="upload_open", condition=Q(state="open")),
            models.Index(fields=["id"], name="upload_inspecting", condition=Q(state="inspecting")),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"
