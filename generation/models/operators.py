"""What operators decide about models: whose licence they accept, and which adapters jobs may use."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from mutoscope.accounts.models import User


class LicenceAcceptance(models.Model):
    """An operator's acceptance of a model's licence, kept for good; withdrawn ones too.

    A model whose catalog entry says `must_accept` runs only while an acceptance of its licence's present version
    stands, made for a territory that the licence does not exclude.
    """

    model = models.CharField(max_length=40, help_text="The model's slug.")
    licence = models.CharField(max_length=200, help_text="The licence's name as it was accepted.")
    version = models.CharField(max_length=40, blank=True)
    territory = models.CharField(max_length=2, help_text="Where the operator runs the model: ISO 3166-1 alpha-2.")
    accepted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    accepted_by_name = models.CharField(max_length=254, help_text="Kept when the account is gone.")
    accepted_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-accepted_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "licence", "version"],
                condition=Q(withdrawn_at=None),
                name="licence_accepted_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.licence} for {self.model}"


class Adapter(models.Model):
    """A LoRA that jobs may name: registered by an operator, fetched and checked by the workers that need it."""

    name = models.CharField(
        max_length=40,
        primary_key=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9.-]{0,39}$", "letters a-z, digits, dots and dashes")],
    )
    summary = models.CharField(max_length=200, blank=True, help_text="What it does to the picture.")
    models_allowed = ArrayField(models.CharField(max_length=40), help_text="Slugs of the models it is for.")
    file = models.FileField(blank=True, upload_to="adapters/", help_text="A safetensors file; or name a hub.")
    low_noise_file = models.FileField(
        blank=True, upload_to="adapters/", help_text="For the second expert of models that have two."
    )
    huggingface = models.CharField(max_length=200, blank=True, help_text="Repository on the hub.")
    revision = models.CharField(
        max_length=40, blank=True, validators=[RegexValidator(r"^([0-9a-f]{40})?$", "a commit, 40 hex digits")]
    )
    hub_file = models.CharField(max_length=200, blank=True)
    hub_low_noise_file = models.CharField(max_length=200, blank=True)
    min_strength = models.FloatField(default=0.0)
    max_strength = models.FloatField(default=1.5)
    default_strength = models.FloatField(default=1.0)
    licence = models.CharField(max_length=200, blank=True)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(min_strength__lte=F("default_strength"), default_strength__lte=F("max_strength")),
                name="adapter_strengths_in_order",
            ),
            models.CheckConstraint(
                condition=(~Q(file="") & Q(huggingface="")) | (Q(file="") & ~Q(huggingface="") & ~Q(hub_file="")),
                name="adapter_comes_from_one_place",
            ),
        ]

    def __str__(self) -> str:
        return self.name
