"""The admin's page about visible marks: the operator's own, to be changed, and those of workspaces, to be seen."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any, BinaryIO, cast

from django import forms
from django.contrib import admin
from django.core.files.storage import default_storage
from django.db import transaction
from django.forms.models import construct_instance
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from generation.models import VisibleMark
from generation.outputs.visible import editing

WISHED = ("is_on", "text", "position", "size", "opacity", "drifts")
"""What a mark says of itself, beside its picture."""


class MarkForm(forms.ModelForm):  # type: ignore[type-arg]  # at run time it takes no parameter
    """A mark's fields, held against the rules that workspaces' own marks are held against."""

    new_picture: bytes | None = None

    class Meta:
        model = VisibleMark
        fields = [*WISHED, "picture"]

    def clean(self) -> dict[str, Any]:
        if self.errors:
            return self.cleaned_data
        given = self.cleaned_data["picture"]
        upload = self.files.get("picture")
        wish = editing.MarkWish(
            **{name: self.cleaned_data[name] for name in WISHED},
            picture=cast("BinaryIO", upload.file) if upload else None,
            without_picture=given is False,
        )
        try:
            self.new_picture = editing.checked(VisibleMark(picture=self.instance.picture.name), wish)
        except editing.InvalidMark as refusal:
            self.add_error(refusal.field, refusal.message)
        return self.cleaned_data

    def _post_clean(self) -> None:
        # The picture is stored by `save_model`, cleaned: what was sent is not put into the row.
        if not self.errors:
            construct_instance(self, self.instance, WISHED)
            self.instance.text = editing.check_text(self.instance.text)


@admin.register(VisibleMark)
class VisibleMarkAdmin(ModelAdmin):
    """The operator's mark goes on clips of plans that say `watermark`; workspaces change their own themselves."""

    form = MarkForm
    list_display = ["__str__", "is_on", "text", "position", "size", "opacity", "drifts", "updated_at"]
    list_filter = ["is_on"]
    list_select_related = ["workspace"]
    search_fields = ["text", "workspace__name"]
    readonly_fields = ["preview", "updated_at"]
    fields = ["preview", "is_on", "text", "picture", "position", "size", "opacity", "drifts", "updated_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The operator's is there from the start."""
        return editing.operators_mark() is None and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: VisibleMark | None = None) -> bool:
        is_theirs = obj is not None and obj.workspace_id is not None
        return not is_theirs and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: VisibleMark | None = None) -> bool:
        return False  # it is turned off

    def save_model(self, request: HttpRequest, obj: VisibleMark, form: MarkForm, change: bool) -> None:
        """Keep the cleaned picture, and let go of the one before once the row no longer names it."""
        before = obj.picture.name
        if form.new_picture:
            editing.keep_picture(obj, form.new_picture)
        elif form.cleaned_data["picture"] is False:
            obj.picture = ""
        super().save_model(request, obj, form, change)
        if before and before != obj.picture.name:
            transaction.on_commit(partial(default_storage.delete, before))

    @admin.display(description="how it looks")
    def preview(self, mark: VisibleMark) -> SafeString | str:
        if not (mark.text or mark.picture):
            return "–"
        picture = base64.b64encode(editing.preview([mark])).decode()
        return format_html(
            '<img src="data:image/png;base64,{}" width="640" height="360" alt="The mark, on black to white">',
            picture,
        )
