"""The ledger as operators see it: every entry and account, and entering grants and adjustments by hand."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextInputWidget,
)

from billing import grants
from billing.models import Account, Entry, Subscription, Transfer
from mutoscope.accounts.models import User, Workspace
from mutoscope.errors import Refusal
from mutoscope.read_only import ReadOnly

BY_HAND = {Entry.Kind.GRANT: grants.grant, Entry.Kind.ADJUSTMENT: grants.adjust}


class EntryForm(forms.ModelForm):  # type: ignore[type-arg]  # at run time it takes no parameter
    """A grant or an adjustment, held against the rules of the ledger."""

    workspace = forms.ModelChoiceField(
        Workspace.objects.all(),
        widget=AutocompleteSelect(Subscription._meta.get_field("workspace"), admin.site),
    )
    kind = forms.ChoiceField(
        label="What",
        choices=[(kind, kind.label) for kind in BY_HAND],
        widget=UnfoldAdminSelectWidget,
        help_text="A grant gives credits. An adjustment puts right what is wrong, either way.",
    )
    credits = forms.IntegerField(
        widget=UnfoldAdminIntegerFieldWidget, help_text="Below 0 takes credits away, in an adjustment."
    )
    until = forms.DateField(
        required=False,
        label="Until",
        widget=UnfoldAdminSingleDateWidget,
        help_text="The last day, in UTC, on which they can be spent. Empty: they never expire.",
    )
    reason = forms.CharField(
        widget=UnfoldAdminTextInputWidget, help_text="Kept with the entry; managers of the workspace read it, too."
    )
    # The same form sent twice is one entry.
    form_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)

    class Meta:
        model = Entry
        fields = ["kind", "reason"]

    def clean(self) -> dict[str, Any]:
        """Enter it to see whether it may be, and take that back: the rules stand in `billing.grants` alone."""
        if not self.errors:
            try:
                with transaction.atomic():
                    self.enter(None)
                    transaction.set_rollback(True)
            except Refusal as refusal:
                self.add_error(refusal.field if refusal.field in self.fields else None, refusal.message)
        return self.cleaned_data

    @property
    def reference(self) -> str:
        return f"by hand {self.cleaned_data['form_id']}"

    def enter(self, by: User | None) -> Entry | None:
        """Enter it in the ledger. None where this form was sent before. Raises `LedgerRefusal`."""
        asked = self.cleaned_data
        return BY_HAND[Entry.Kind(asked["kind"])](
            asked["workspace"].pk,
            asked["credits"],
            reason=asked["reason"],
            by=by,
            expires_at=grants.end_of(asked["until"]) if asked["until"] else None,
            reference=self.reference,
        )


class TransferInline(ReadOnly, TabularInline):
    model = Transfer
    fields = ["amount", "source", "target"]
    verbose_name_plural = "what it moved"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transfer]:
        found: QuerySet[Transfer] = super().get_queryset(request)
        return found.select_related("source", "target")


class _OfWorkspaces(ModelAdmin):
    """Rows of the books by the names of their workspaces, which they outlive."""

    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        name = Workspace.objects.filter(pk=OuterRef("workspace_id")).values("name")
        found: QuerySet[Any] = super().get_queryset(request)
        named: QuerySet[Any] = found.annotate(_workspace=Subquery(name))
        return named

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By a workspace's name, or an id as a whole: parts of ids would be looked for in every row."""
        if not search_term:
            return queryset, False
        named = Workspace.objects.filter(name__icontains=search_term)
        wanted = Q(workspace_id__in=named.values("pk"))
        try:
            for field in self.search_fields:
                wanted |= Q(**{field: UUID(search_term)})
        except ValueError:
            pass  # no id
        return queryset.filter(wanted), False

    @admin.display(description="workspace")
    def workspace(self, row: Any) -> str:
        if row.workspace_id is None:
            return "– (the platform's)"
        if row._workspace is None:
            return f"{row.workspace_id} (gone)"
        page = reverse("admin:accounts_workspace_change", args=[row.workspace_id])
        return format_html('<a href="{}">{}</a>', page, row._workspace)


@admin.register(Entry)
class EntryAdmin(_OfWorkspaces):
    """Every entry, newest first. Adding one is a grant or an adjustment; none is ever changed."""

    form = EntryForm
    list_display = ["id", "at", "kind", "workspace", "credits", "job", "reason", "reference", "made_by_name"]
    list_display_links = ["id"]
    list_filter = ["kind", "at"]
    search_fields = ["workspace_id", "job_id"]
    search_help_text = "A workspace's name, or the id of a workspace or a job"
    fields = ["at", "kind", "workspace", "credits", "job", "reason", "reference", "made_by_name"]
    inlines = [TransferInline]

    def get_fieldsets(self, request: HttpRequest, obj: Entry | None = None) -> Any:
        entering = ["workspace", "kind", "credits", "until", "reason", "form_id"]
        return [(None, {"fields": self.fields if obj else entering})]

    def get_inlines(self, request: HttpRequest, obj: Entry | None) -> Any:
        return self.inlines if obj else []

    def get_readonly_fields(self, request: HttpRequest, obj: Entry | None = None) -> list[str]:
        return self.fields if obj else []

    def has_change_permission(self, request: HttpRequest, obj: Entry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Entry | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        moved = Transfer.objects.filter(entry=OuterRef("pk")).order_by()
        total = moved.values("entry").annotate(sum=Sum("amount")).values("sum")
        found: QuerySet[Entry] = super().get_queryset(request)
        moving: QuerySet[Entry] = found.annotate(
            _credits=Subquery(total),
            _to_spend=Exists(moved.filter(target__kind=Account.Kind.CREDITS)),
            _from_spendable=Exists(moved.filter(source__kind=Account.Kind.CREDITS)),
        )
        return moving

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_changeform_initial_data(request), "workspace": request.GET.get("workspace")}

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        try:
            found: HttpResponse = super().add_view(
                request, form_url, {**(extra_context or {}), "title": "Enter credits"}
            )
        except Refusal as refusal:  # it was right when the form was checked, a moment before
            messages.error(request, refusal.message)
            return redirect(request.get_full_path())
        return found

    def save_model(self, request: HttpRequest, obj: Entry, form: EntryForm, change: bool) -> None:
        by: Any = request.user  # staff are users
        entry = form.enter(by) or Entry.objects.get(kind=obj.kind, reference=form.reference)
        obj.pk, obj.at, obj.workspace_id = entry.pk, entry.at, entry.workspace_id

    @admin.display(description="credits")
    def credits(self, entry: Any) -> str:
        """With the sign of what it does to what the workspace may spend."""
        sign = "+" if entry._to_spend else "−" if entry._from_spendable else ""
        return f"{sign}{entry._credits or 0:,}"

    @admin.display(description="job", empty_value="–")
    def job(self, entry: Entry) -> str | None:
        if entry.job_id is None:
            return None
        page = reverse("admin:generation_job_change", args=[entry.job_id])
        return format_html('<a href="{}">{}</a>', page, entry.job_id)


@admin.register(Account)
class AccountAdmin(ReadOnly, _OfWorkspaces):
    """Where credits are. The platform's own accounts are summed up on their pages."""

    list_display = ["id", "kind", "workspace", "kept_balance", "expires_at", "created_at"]
    list_filter = ["kind", "expires_at", "created_at"]
    search_fields = ["workspace_id", "id"]
    search_help_text = "A workspace's name, or the id of a workspace or an account"
    ordering = ["-created_at", "-id"]
    fields = readonly_fields = ["id", "kind", "workspace", "sum_of_transfers", "expires_at", "created_at"]

    @admin.display(description="balance", ordering="balance")
    def kept_balance(self, account: Account) -> str:
        return f"{account.balance:,}" if account.workspace_id else "on its page"

    @admin.display(description="balance")
    def sum_of_transfers(self, account: Account) -> str:
        """From the transfers: what is kept is for the lists."""
        come = Transfer.objects.filter(target=account).aggregate(sum=Sum("amount"))["sum"] or 0
        gone = Transfer.objects.filter(source=account).aggregate(sum=Sum("amount"))["sum"] or 0
        return f"{come - gone:,}"
