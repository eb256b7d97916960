"""What people may not ask for, and what operators decide about it: shapes and constraints."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assets.models import Asset
from mutoscope.accounts.models import User, Workspace


class BlockedTerm(models.Model):
    """A word or phrase that prompts are searched for, after normalisation."""

    class Action(models.TextChoices):
        REFUSE = "refuse"
        REVIEW = "review", "put to an operator"

    term = models.CharField(max_length=200, help_text="As normalised; whole words.")
    action = models.CharField(max_length=6, choices=Action, default=Action.REFUSE)
    note = models.TextField(blank=True, help_text="Why; people do not see it.")
    is_on = models.BooleanField(default=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["term"]
        constraints = [models.UniqueConstraint(fields=["term"], name="term_once")]

    def __str__(self) -> str:
        return self.term


class Review(models.Model):
    """A prompt or picture that moderation put to the operators: one row for the same thing of a workspace.

    While it is open or refused, requests with it are refused; once it is allowed, they pass.
    """

    class Kind(models.TextChoices):
        PROMPT = "prompt"
        PICTURE = "picture"

    class State(models.TextChoices):
        OPEN = "open"
        ALLOWED = "allowed"
        REFUSED = "refused"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="reviews")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    kind = models.CharField(max_length=7, choices=Kind)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the normalised prompt, or of the picture.")
    text = models.TextField(blank=True)
    picture = models.ForeignKey(Asset, null=True, blank=True, on_delete=models.CASCADE, related_name="reviews")
    reasons = models.JSONField(default=list, help_text="What moderation found.")
    moderator = models.CharField(max_length=60, help_text="Which moderation found it, with its version.")
    times_asked = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=7, choices=State, default=State.OPEN)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, help_text="The operator's; people do not see it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "kind", "digest"], name="reviewed_once"),
            models.CheckConstraint(
                condition=Q(state="open") | Q(decided_at__isnull=False), name="review_has_decision"
            ),
        ]
        indexes = [models.Index(fields=["-id"], name="review_open", condition=Q(state="open"))]

    def __str__(self) -> str:
        return f"{self.kind} ({self.state})"
