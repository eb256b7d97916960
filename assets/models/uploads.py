"""Uploads that go straight to the storage: shape and constraints."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assets.models.assets import Asset
from mutoscope.accounts.models import User, Workspace
from mutoscope.ids import new_id


class Upload(models.Model):
    """A file on its way into the storage, past the web process: announced, sent in parts, completed.

    Completing it has the file inspected like any other upload, which makes the asset. What is not completed in
    time is removed.
    """

    class State(models.TextChoices):
        OPEN = "open"
        COMPLETED = "completed"
        REFUSED = "refused"
        ABANDONED = "abandoned"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="uploads")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField(help_text="As announced: it must have exactly as many.")
    part_bytes = models.BigIntegerField(help_text="Of each part but the last.")
    multipart_id = models.CharField(max_length=1024, blank=True, help_text="The storage's own; empty: one part.")
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
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
        indexes = [models.Index(fields=["expires_at"], name="upload_open", condition=Q(state="open"))]

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"
