"""The operators' pages about the price book: GPUs, what an hour of them costs, and what others take."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.models import Gpu, GpuPrice, PeerPrice
from billing.price_book import PriceBook


class GpuForm(forms.ModelForm):  # type: ignore[type-arg]  # at run time it takes no parameter
    """A GPU, whose names must mean this one alone."""

    device_names = SimpleArrayField(
        forms.CharField(max_length=80),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The driver's names for it, commas between them, as workers report them: NVIDIA H100 80GB HBM3.",
    )

    def clean_device_names(self) -> list[str]:
        """Two GPUs of one name would leave the price to chance."""
        names: list[str] = self.cleaned_data["device_names"]
        book = PriceBook(Gpu.objects.exclude(pk=self.instance.pk), [])
        for name in names:
            other = book.gpu_called(name)
            if other is not None:
                raise ValidationError(f"a driver's name must be of one GPU, but {name!r} is of {other} already")
        return names


class GpuPriceInline(TabularInline):
    model = GpuPrice
    fields = ["market", "usd_per_hour", "effective_from", "source", "is_estimate"]
    extra = 0


@admin.register(Gpu)
class GpuAdmin(ModelAdmin):
    form = GpuForm
    fields = ["name", "vram_gb", "device_names"]
    list_display = ["name", "vram_gb", "drivers_names"]
    search_fields = ["name"]
    inlines = [GpuPriceInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["name"] if obj else []  # prices and estimates name it

    @admin.display(description="the driver's names")
    def drivers_names(self, gpu: Gpu) -> str:
        return ", ".join(gpu.device_names)


@admin.register(GpuPrice)
class GpuPriceAdmin(ModelAdmin):
    """A new price is a new row from its day on; the old one stays, for the days that it was in force."""

    list_display = ["gpu", "market", "usd_per_hour", "effective_from", "is_estimate", "source"]
    list_filter = ["gpu", "market", "is_estimate"]
    list_select_related = ["gpu"]
    search_fields = ["gpu__name", "source"]
    date_hierarchy = "effective_from"


@admin.register(PeerPrice)
class PeerPriceAdmin(ModelAdmin):
    list_display = ["name", "usd_per_second", "as_of", "is_reference", "source"]
    search_fields = ["name", "source"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name"] if obj else []  # it is the key: another name would make a second row
