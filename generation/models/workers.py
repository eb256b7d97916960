"""Workers as they report themselves, and the pace that has been measured on them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from generation.models.jobs import Job


def place(host: str, gpu: str) -> str:
    """Where a worker runs, the same after a restart: what a job avoids that failed there."""
    return f"{host}/{gpu or 'cpu'}"


class Worker(models.Model):
    """One `manage.py worker` process, as it last reported itself. A row not renewed is a worker gone."""

    class State(models.TextChoices):
        LOADING = "loading"
        IDLE = "idle"
        WORKING = "working"
        DRAINING = "draining"
        STOPPED = "stopped"

    name = models.CharField(max_length=120, primary_key=True)
    host = models.CharField(max_length=80)
    pid = models.PositiveIntegerField()
    gpu = models.CharField(max_length=20, blank=True, help_text="Index on its host; empty is no GPU.")
    gpu_name = models.CharField(max_length=80, blank=True)
    vram_total_mib = models.PositiveIntegerField(null=True, blank=True)
    vram_used_mib = models.PositiveIntegerField(null=True, blank=True)
    model = models.CharField(max_length=40)
    precision = models.CharField(max_length=10, blank=True)
    lanes = ArrayField(models.CharField(max_length=60), help_text="In the order in which they are served.")
    is_spot = models.BooleanField(default=False, help_text="May be taken away at short notice.")
    version = models.CharField(max_length=20)
    state = models.CharField(max_length=8, choices=State, default=State.LOADING)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    step = models.PositiveIntegerField(default=0)
    steps = models.PositiveIntegerField(default=0)
    engine_starts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True, help_text="Why its engine was last killed or could not start.")
    started_at = models.DateTimeField()
    last_claim_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField()
    drain_requested_at = models.DateTimeField(
        null=True, blank=True, help_text="A standing order to stop, until an operator lifts it."
    )

    class Meta:
        ordering = ["host", "gpu", "name"]
        indexes = [models.Index(fields=["seen_at"], name="worker_seen")]

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        """Host and GPU, the same after a restart."""
        return place(self.host, self.gpu)


class Pace(models.Model):
    """Seconds a step takes, measured on finished attempts: what ETAs go by. Renewed by upkeep."""

    model = models.CharField(max_length=40)
    size = models.CharField(max_length=40)
    frames = models.PositiveIntegerField()
    precision = models.CharField(max_length=10, blank=True)
    gpu = models.CharField(max_length=80, blank=True)
    preset = models.CharField(max_length=10, blank=True, db_default="")
    samples = models.PositiveIntegerField()
    median = models.FloatField(help_text="Seconds per step, the engine's other work spread over the steps.")
    low = models.FloatField(help_text="10th percentile.")
    high = models.FloatField(help_text="90th percentile.")
    finish = models.FloatField(default=0.0, help_text="Seconds from the last frame to the published clip, median.")
    finish_high = models.FloatField(default=0.0, help_text="The same, 90th percentile.")
    measured_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "preset", "size", "frames", "precision", "gpu"], name="pace_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.size} × {self.frames}: {self.median:.3g} s a step"
