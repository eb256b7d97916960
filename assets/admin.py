from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from assets.models import Asset


@admin.register(Asset)
class AssetAdmin(ModelAdmin):
    """Operators look at assets; what is in a library is changed by its own people alone."""

    list_display = [
        "picture",
        "name",
        "kind",
        "origin",
        "workspace",
        "width",
        "height",
        "seconds",
        "signed_by",
        "created_at",
    ]
    list_display_links = ["picture", "name"]
    list_filter = ["kind", "origin", "created_at"]
    list_select_related = ["workspace"]
    search_fields = ["id", "name", "workspace__name", "sha256"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Asset | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Asset | None = None) -> bool:
        return False

    @display(  # type: ignore[untyped-decorator]
        description="signed by", label={"development": "warning", "not signed": "danger"}
    )
    def signed_by(self, asset: Asset) -> str:
        """Of clips: in whose name their content credentials are."""
        told = asset.provenance
        if not told:
            return "–"
        if not told.get("is_signed"):
            return "not signed"
        return "development" if told.get("is_development") else str(told.get("issuer", ""))

    @admin.display(description="")
    def picture(self, asset: Asset) -> SafeString | str:
        return small_picture(asset)


def small_picture(asset: Asset) -> SafeString | str:
    """The asset's thumbnail, as lists show it."""
    if not asset.thumbnail:
        return "–"
    return format_html(
        '<img src="{}" alt="" width="64" height="48" loading="lazy" style="object-fit:cover;background:{}">',
        asset.thumbnail.url,
        asset.color,
    )
