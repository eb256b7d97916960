"""The admin's page about clips in other forms: which wait, which failed, and having those made after all."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from assets.admin import small_picture
from assets.models import Rendition
from generation.outputs.renditions.asking import make_after_all
from mutoscope.read_only import ReadOnly

LABELS = {"queued": "warning", "making": "info", "ready": "success", "failed": "danger"}


@admin.register(Rendition)
class RenditionAdmin(ReadOnly, ModelAdmin):
    """Every rendition that is kept or waits, the newest first; re-issued clips until they are made."""

    list_display = [
        "thumbnail",
        "asked_for",
        "state_label",
        "attempts",
        "error",
        "clip",
        "workspace",
        "created_at",
        "used_at",
    ]
    list_display_links = ["thumbnail", "asked_for"]
    list_filter = ["state", "is_reissue", "format", "quality", "created_at"]
    list_select_related = ["asset__workspace"]
    search_fields = ["id", "asset__id", "asset__name", "asset__workspace__name", "error"]
    show_full_result_count = False
    actions = ["make_after_all"]

    @admin.display(description="")
    def thumbnail(self, rendition: Rendition) -> SafeString | str:
        return small_picture(rendition.asset)

    @admin.display(description="form", ordering="format")
    def asked_for(self, rendition: Rendition) -> str:
        wished = {
            "": "re-issued clip" if rendition.is_reissue else rendition.format,
            "quality": rendition.quality,
            "fps": rendition.fps,
            "px": rendition.width,
            "loop": rendition.loop,
        }
        return ", ".join(f"{value} {name}".strip() for name, value in wished.items() if value)

    @display(description="state", ordering="state", label=LABELS)  # type: ignore[untyped-decorator]
    def state_label(self, rendition: Rendition) -> str:
        return rendition.state

    @admin.display(description="clip")
    def clip(self, rendition: Rendition) -> SafeString:
        page = reverse("admin:assets_asset_change", args=[rendition.asset_id])
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', page, rendition.asset.name
        )

    @admin.display(description="workspace", ordering="asset__workspace__name")
    def workspace(self, rendition: Rendition) -> str:
        return rendition.asset.workspace.name

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("assets.change_rendition"))

    @admin.action(description="Make those that failed after all", permissions=["retry"])
    def make_after_all(self, request: HttpRequest, chosen: QuerySet[Rendition]) -> None:
        waiting = make_after_all(Rendition.objects.filter(pk__in=chosen.values("pk")))
        self.message_user(request, f"{waiting} wait to be made; {len(chosen) - waiting} had not failed.")
