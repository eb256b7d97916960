"""What may be seen of assets, always from within one workspace."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet, Sum

from assets.models import Asset, Upload
from mutoscope.accounts.models import Workspace
from mutoscope.errors import NotFound


def library(workspace: Workspace) -> QuerySet[Asset]:
    """The workspace's assets, newest first."""
    return Asset.objects.filter(workspace=workspace, deleted_at=None)


def asset_of(workspace: Workspace, asset_id: UUID) -> Asset:
    """One asset of the workspace. Raises `NotFound`."""
    asset = library(workspace).filter(pk=asset_id).first()
    if asset is None:
        raise NotFound(f"no asset has the id {asset_id}")
    return asset


def used_bytes(workspace_id: UUID) -> int:
    """How large the files are that the workspace keeps: what is served, without the thumbnails."""
    kept = Asset.objects.filter(workspace=workspace_id, deleted_at=None)
    return kept.aggregate(sum=Sum("size_bytes"))["sum"] or 0


def upload_of(workspace: Workspace, upload_id: UUID) -> Upload:
    """One upload of the workspace, whatever became of it. Raises `NotFound`."""
    upload = Upload.objects.filter(workspace=workspace, pk=upload_id).select_related("asset").first()
    if upload is None:
        raise NotFound(f"no upload has the id {upload_id}")
    return upload


def announced_bytes(workspace_id: UUID) -> int:
    """How large the files are that are on their way into the workspace's library."""
    coming = Upload.objects.filter(workspace=workspace_id, state__in=Upload.UNDER_WAY)
    return coming.aggregate(sum=Sum("size_bytes"))["sum"] or 0
