"""What GPUs cost, and what others take for a second of video. Rows, so that operators keep them true."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models


class Gpu(models.Model):
    """A kind of GPU as it is rented, and how the driver calls it."""

    name = models.CharField(max_length=60, primary_key=True, help_text="As price lists have it: H100 SXM5.")
    vram_gb = models.PositiveIntegerField(help_text="GB, as its maker counts.")
    device_names = ArrayField(
        models.CharField(max_length=80),
        default=list,
        blank=True,
        help_text="The driver's names for it, as workers report them: NVIDIA H100 80GB HBM3.",
    )

    class Meta:
        verbose_name = "GPU"
        verbose_name_plural = "GPUs"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class GpuPrice(models.Model):
    """What an hour of a GPU costs from a day on, until a later row of the same GPU and market takes over."""

    class Market(models.TextChoices):
        ON_DEMAND = "on_demand", "on demand"
        SPOT = "spot", "spot (may be taken away)"

    gpu = models.ForeignKey(Gpu, on_delete=models.CASCADE, related_name="prices")
    market = models.CharField(max_length=9, choices=Market)
    usd_per_hour = models.DecimalField(max_digits=8, decimal_places=4, validators=[MinValueValidator(0)])
    effective_from = models.DateField()
    source = models.CharField(max_length=300, help_text="Whose price it is, and where it was read.")
    is_estimate = models.BooleanField(
        default=False, help_text="Taken over from a publication, not from your own bill."
    )

    class Meta:
        ordering = ["gpu", "market", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["gpu", "market", "effective_from"], name="gpu_price_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.gpu_id} {self.market}: ${self.usd_per_hour:f}/h from {self.effective_from}"


class PeerPrice(models.Model):
    """What a hosted service takes for a finished second of video: what self-hosting is held against."""

    name = models.CharField(max_length=80, primary_key=True)
    usd_per_second = models.DecimalField(max_digits=8, decimal_places=4, validators=[MinValueValidator(0)])
    as_of = models.DateField()
    source = models.CharField(max_length=300)
    is_reference = models.BooleanField(default=False, help_text="The one that plans are compared with first.")

    class Meta:
        ordering = ["-is_reference", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_reference"], condition=models.Q(is_reference=True), name="one_reference_peer"
            )
        ]

    def __str__(self) -> str:
        return self.name
