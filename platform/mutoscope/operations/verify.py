"""The admin's page that tells which job made a file."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminFileFieldWidget

from generation.verification import ACCEPTED, origin_of_upload
from mutoscope.errors import Refusal

PERMISSION = "generation.view_job"
"""Who may see jobs may ask which of them made a file."""


class VerifyForm(forms.Form):
    """A file to look into."""

    file = forms.FileField(widget=UnfoldAdminFileFieldWidget, help_text=f"{ACCEPTED}. Nothing of it is kept.")


def verify(request: HttpRequest) -> HttpResponse:
    """The form and, once a file is sent, its origin. The file changes nothing, but is too large for a GET."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = VerifyForm(request.POST or None, request.FILES or None)
    context = {**admin.site.each_context(request), "title": "Verify a file", "form": form}
    if form.is_bound and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            context |= {"name": file.name, "origin": origin_of_upload(file.file, file.name)}
        except Refusal as refusal:
            form.add_error("file", refusal.message)
    return TemplateResponse(request, "admin/verify.html", context)
