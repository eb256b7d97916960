"""Jobs in the states that tests need, made the way the platform makes them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from assets.models import Asset
from generation import attempts, services
from generation.models import Job
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access

T = TypeVar("T")
PAID = Lane("still", "paid")


def submit(access: Access, picture: Asset | None = None, **wishes: Any) -> Job:
    mode = {} if picture else {"mode": "t2v"}
    return services.submit(access, JobRequest(model="still", picture=picture and picture.pk, **mode, **wishes))


def running(access: Access) -> Job:
    """A job that the worker `w1` has claimed: the worker's own copy of it."""
    submit(access)
    job = claim([PAID], Claimant("w1"))
    assert job is not None
    return job


def finishing(access: Access) -> Job:
    job = running(access)
    attempts.start_finishing(job, {"seed": job.seed}, steps=8)
    return job


def expire(job: Job) -> None:
    """The worker has not renewed its lease in time."""
    Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def unsaved_clip(job: Job) -> Asset:
    """What the finish stage would publish: its file is stored, its row is not there yet."""
    clip = Asset(
        workspace_id=job.workspace_id, kind="video", origin="generated", name="clip.mp4", media_type="video/mp4",
        uploaded_type="video/mp4", size_bytes=4, sha256="0" * 64, width=64, height=64, seconds=1.0, fps=8.0,
    )  # fmt: skip
    clip.file.save("clip.mp4", ContentFile(b"clip"), save=False)
    return clip


def kinds(job: Job) -> list[str]:
    return list(job.events.order_by("id").values_list("kind", flat=True))


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Run the calls in a thread each; their results in order. Each gives its database connection back."""

    def run(call: Callable[[], T]) -> T:
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
