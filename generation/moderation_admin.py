"""The admin's pages about moderation: what waits for a decision, and which terms are blocked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from generation.models import BlockedTerm, Review
from generation.safety.moderation import reviews, terms, text
from mutoscope.errors import Refusal

SHOWN_TEXT = 160
"""Characters of a prompt in the list; its own page has all."""


class DecisionForm(forms.ModelForm):  # type: ignore[type-arg]  # at run time it takes no parameter
    """A decision, once it is made, may be changed and not taken back."""

    class Meta:
        model = Review
        fields = ["state", "note"]

    def clean_state(self) -> str:
        state: str = self.cleaned_data["state"]
        if state == Review.State.OPEN and self.instance.state != Review.State.OPEN:
            raise forms.ValidationError("it has been decided: it may be allowed or refused, but not opened again")
        return state


@admin.register(Review)
class ReviewAdmin(ModelAdmin):
    list_display = [
        "state_label",
        "kind",
        "shown",
        "found",
        "workspace",
        "created_by",
        "times_asked",
        "created_at",
    ]
    list_filter = ["state", "kind", "created_at", "moderator"]
    list_select_related = ["workspace", "created_by", "picture"]
    search_fields = ["text", "workspace__name", "created_by__email"]
    form = DecisionForm
    fields = [
        "state", "note", "kind", "whole", "found", "moderator", "workspace", "created_by", "times_asked",
        "created_at", "decided_by", "decided_at",
    ]  # fmt: skip
    readonly_fields = fields[2:]
    actions = ["allow_all", "refuse_all"]
    ordering = ["state", "-id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @display(description="State", label={"open": "warning", "allowed": "success", "refused": "danger"})  # type: ignore[untyped-decorator]
    def state_label(self, review: Review) -> str:
        return review.state

    @admin.display(description="asked for")
    def shown(self, review: Review) -> SafeString | str:
        if review.kind == Review.Kind.PICTURE:
            return _picture(review, 96)
        return review.text[:SHOWN_TEXT] + ("…" if len(review.text) > SHOWN_TEXT else "")

    @admin.display(description="asked for")
    def whole(self, review: Review) -> SafeString | str:
        return _picture(review, 480) if review.kind == Review.Kind.PICTURE else review.text

    @admin.display(description="found")
    def found(self, review: Review) -> str:
        return "; ".join(review.reasons)

    @admin.action(description="Allow", permissions=["change"])
    def allow_all(self, request: HttpRequest, found: QuerySet[Review]) -> None:
        self._decide(request, found, allow=True)

    @admin.action(description="Refuse", permissions=["change"])
    def refuse_all(self, request: HttpRequest, found: QuerySet[Review]) -> None:
        self._decide(request, found, allow=False)

    def save_model(self, request: HttpRequest, obj: Review, form: Any, change: bool) -> None:
        Review.objects.filter(pk=obj.pk).update(note=obj.note)
        if "state" in form.changed_data:
            reviews.decide(obj, request.user, allow=obj.state == Review.State.ALLOWED)  # type: ignore[arg-type]

    def _decide(self, request: HttpRequest, found: QuerySet[Review], *, allow: bool) -> None:
        word = "allowed" if allow else "refused"
        done = 0
        for review in found:
            if reviews.decide(review, request.user, allow=allow):  # type: ignore[arg-type]  # operators are signed in
                self.log_change(request, review, word.capitalize())
                done += 1
        messages.success(request, f"{done} {word}; those who asked are told by e-mail")


def _picture(review: Review, side: int) -> SafeString | str:
    picture = review.picture
    if picture is None or picture.discarded_at:
        return "the picture is gone"
    shown = picture.thumbnail if side <= 96 and picture.thumbnail else picture.file
    return format_html(
        '<img src="{}" alt="{}" style="max-width:{}px;max-height:{}px">', shown.url, picture.name, side, side
    )


class TermsForm(forms.ModelForm):  # type: ignore[type-arg]  # at run time it takes no parameter
    """Terms to be blocked, many at once."""

    terms = forms.CharField(
        widget=UnfoldAdminTextareaWidget,
        help_text="One a line. Case, accents, signs and look-alike letters do not matter; whole words are found.",
    )

    class Meta:
        model = BlockedTerm
        fields = ["action", "note"]
        widgets = {"action": UnfoldAdminSelectWidget}

    def clean_terms(self) -> str:
        lines: str = self.cleaned_data["terms"]
        try:
            terms.check(lines.splitlines())
        except Refusal as refusal:
            raise forms.ValidationError(refusal.message) from refusal
        return lines


class TryForm(forms.Form):
    """A prompt to be tried."""

    prompt = forms.CharField(widget=UnfoldAdminTextareaWidget, required=False)


@admin.register(BlockedTerm)
class BlockedTermAdmin(ModelAdmin):
    list_display = ["term", "action", "is_on", "note", "created_by", "created_at"]
    list_filter = ["action", "is_on"]
    search_fields = ["term", "note"]
    actions_list = ["try_prompt"]

    def get_form(
        self, request: HttpRequest, obj: BlockedTerm | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return super().get_form(request, obj, change, **kwargs) if obj else TermsForm

    def get_fields(self, request: HttpRequest, obj: BlockedTerm | None = None) -> list[str]:
        return (
            ["term", "action", "is_on", "note", "created_by", "created_at"] if obj else ["terms", "action", "note"]
        )

    def get_readonly_fields(self, request: HttpRequest, obj: BlockedTerm | None = None) -> list[str]:
        return ["term", "created_by", "created_at"] if obj else []

    def save_model(self, request: HttpRequest, obj: BlockedTerm, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made = terms.block(
            form.cleaned_data["terms"].splitlines(),
            action=obj.action,
            note=obj.note,
            by=request.user,  # type: ignore[arg-type]
        )
        obj.pk, obj.term = made[0].pk, ", ".join(term.term for term in made)

    def get_urls(self) -> list[Any]:
        return [
            path("try", self.admin_site.admin_view(self.tried), name="generation_blockedterm_try"),
            *super().get_urls(),
        ]

    @action(description="Try a prompt", permissions=["view"])  # type: ignore[untyped-decorator]
    def try_prompt(self, request: HttpRequest) -> HttpResponse:
        return redirect(reverse("admin:generation_blockedterm_try"))

    def tried(self, request: HttpRequest) -> HttpResponse:
        """Which terms stand in a prompt, and how it is read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = TryForm(request.POST or None)
        context = {
            **self.admin_site.each_context(request),
            "title": "Try a prompt",
            "opts": self.opts,
            "form": form,
        }
        if form.is_valid():
            prompt = form.cleaned_data["prompt"]
            context |= {"tried": True, "found": terms.matching(prompt), "readings": text.readings(prompt)}
        return TemplateResponse(request, "admin/try_prompt.html", context)
