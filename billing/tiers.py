"""Tiers: whose work comes first where workers are shared."""

from django.db import models


class Tier(models.TextChoices):
    """Each tier of each model has a queue of its own."""

    PAID = "paid"
    FREE = "free"
    BATCH = "batch"
