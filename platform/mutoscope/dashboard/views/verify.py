"""Verify: drop a file, learn whether it was made here."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from generation.verification import ACCEPTED, verify_upload
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.gate import Visit, workspace_page
from mutoscope.errors import Refusal


@workspace_page("GET", "HEAD", "POST", needs="assets:read")
def verify(request: Visit, access: Access) -> HttpResponse:
    """The page and, once a file is sent, the answer: alone for htmx, else within the page."""
    context: dict[str, Any] = {"accepted": ACCEPTED}
    status = 200
    if request.method == "POST":
        file = request.FILES.get("file")
        try:
            if file is None or not file.file:
                raise Refusal("choose a file first")
            name = file.name or "the file"
            context |= {"name": name, "answer": verify_upload(access, file.file, name, file.size or 0)}
        except Refusal as refusal:
            context["refusal"], status = refusal.message, 422
    template = "dashboard/_verified.html" if request.htmx else "dashboard/verify.html"
    return render(request, template, context, status=status)
