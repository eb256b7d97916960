"""The admin's pages about adapters: registering LoRAs for jobs to use."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms.models import construct_instance
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from generation import adapter_registry
from generation.models import Adapter
from mutoscope.errors import Refusal


class AdapterForm(forms.ModelForm):  # type: ignore[type-arg]  # at run time it takes no parameter
    """An adapter's fields, held against the rules of the registry."""

    models_allowed = forms.MultipleChoiceField(
        label="Models",
        choices=adapter_registry.models_with_adapters,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="The models that it was made for. Others have other layers, and their jobs would fail.",
    )

    class Meta:
        model = Adapter
        fields = [
            "name", "summary", "models_allowed", "is_enabled", "licence", "min_strength", "default_strength",
            "max_strength", "file", "low_noise_file", "huggingface", "revision", "hub_file", "hub_low_noise_file",
        ]  # fmt: skip

    def clean(self) -> dict[str, Any]:
        if self.errors:
            return self.cleaned_data
        asked = construct_instance(self, Adapter(name=self.instance.name))
        try:
            adapter_registry.check(asked)
        except Refusal as error:
            self.add_error(error.field if error.field in self.fields else None, error.message)
        return self.cleaned_data


@admin.register(Adapter)
class AdapterAdmin(ModelAdmin):
    form = AdapterForm
    list_display = ["name", "summary", "models", "strengths", "source", "is_enabled", "created_at"]
    list_filter = ["is_enabled", "created_at"]
    search_fields = ["name", "summary", "huggingface"]
    fieldsets = [
        (None, {"fields": ["name", "summary", "models_allowed", "is_enabled", "licence"]}),
        (
            "Strength",
            {
                "description": "How strongly it acts: 1 is as it was trained, 0 not at all.",
                "fields": ["min_strength", "default_strength", "max_strength"],
            },
        ),
        (
            "File",
            {
                "description": "A LoRA in safetensors, in the names of diffusers or of the model's authors.",
                "fields": ["file", "low_noise_file"],
            },
        ),
        (
            "Or from the Hugging Face Hub",
            {
                "description": "Pulled on each machine with: manage.py adapters pull NAME",
                "fields": ["huggingface", "revision", "hub_file", "hub_low_noise_file"],
            },
        ),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Adapter | None = None) -> list[str]:
        return ["name"] if obj else []  # jobs name it

    def save_model(self, request: HttpRequest, obj: Adapter, form: Any, change: bool) -> None:
        for facts in adapter_registry.register(obj):
            messages.info(request, f"{obj.name}: a LoRA of {facts}")
        if obj.huggingface:
            messages.info(request, f"pull it on each machine that runs jobs: manage.py adapters pull {obj.name}")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        deleted, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        busy = [(adapter.pk, adapter_registry.in_use(adapter.pk)) for adapter in objs]
        return (
            deleted,
            counts,
            perms_needed,
            [*protected, *(f"jobs that have not ended and use {name}: {jobs}" for name, jobs in busy if jobs)],
        )

    def delete_model(self, request: HttpRequest, obj: Adapter) -> None:
        adapter_registry.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Adapter]) -> None:
        for adapter in queryset:
            adapter_registry.remove(adapter)

    @admin.display(description="models")
    def models(self, adapter: Adapter) -> str:
        return ", ".join(adapter.models_allowed)

    @admin.display(description="strengths")
    def strengths(self, adapter: Adapter) -> str:
        return f"{adapter.min_strength:g} to {adapter.max_strength:g}, usually {adapter.default_strength:g}"

    @admin.display(description="from")
    def source(self, adapter: Adapter) -> str:
        return adapter.huggingface or "a file"
