"""Uploads within what the workspace's plan lets it keep: what the API and the pages call."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.files.uploadedfile import UploadedFile

from assets import services
from assets.models import Asset
from billing.entitlements import entitlements_of
from generation import limits
from mutoscope.accounts.selectors import Access


def upload(access: Access, file: UploadedFile[Any]) -> Asset:
    """Keep an uploaded file in the workspace's library. Raises `UploadRefused` or `LimitReached`."""
    plan = entitlements_of(access.workspace.pk)
    admit = partial(limits.check_upload, plan) if plan.storage_mib is not None else None
    return services.upload(access, file, admit=admit)
