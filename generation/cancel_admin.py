"""The admin's page on which operators cancel jobs: which ones, and why."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextInputWidget

from generation import control
from generation.models import Job

SHOWN = 20
"""Jobs that the page names; of the others it says how many there are."""


class CancelForm(forms.Form):
    """Why jobs are cancelled."""

    reason = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="Those whose jobs they are read it.",
        error_messages={"required": "Say why: those whose jobs they are read it."},
    )


@admin.action(description="Cancel, at no cost to their people", permissions=["boost"])
def cancel_jobs(model_admin: Any, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
    """Ask why, then cancel those that have not ended."""
    form = CancelForm(request.POST if "confirm" in request.POST else None)
    active = jobs.filter(state__in=Job.ACTIVE)
    if form.is_valid():
        cancelled = 0
        for job in active:
            if control.cancel(job.pk, form.cleaned_data["reason"]):
                model_admin.log_change(request, job, f"Cancelled: {form.cleaned_data['reason']}")
                cancelled += 1
        late = f"; {len(jobs) - cancelled} had ended" if len(jobs) > cancelled else ""
        model_admin.message_user(request, f"{cancelled} cancelled{late}")
        return None
    found = list(active.select_related("workspace")[:SHOWN])
    if not found:
        model_admin.message_user(request, "All of these jobs have ended.", messages.WARNING)
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Cancel jobs",
        "opts": model_admin.opts,
        "form": form,
        "jobs": found,
        "more": active.count() - len(found),
        "action": cancel_jobs.__name__,
        "checkbox": ACTION_CHECKBOX_NAME,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
    }
    return TemplateResponse(request, "admin/cancel_jobs.html", context)
