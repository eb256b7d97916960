"""The rows that keep what was found in clips."""

from __future__ import annotations

from django.db.models.functions import Now

from assets.models import Asset
from generation.models import ClipCheck, Job
from generation.outputs.quality.check import Check


def record(job: Job, check: Check, clip: Asset | None = None) -> None:
    """Keep the check of the clip that the job's attempt has made; without `clip` it was thrown away.

    It belongs into the transaction that settles what becomes of the job, which happens once.
    """
    ClipCheck.objects.create(
        job_id=job.pk,
        attempt=job.attempt,
        asset=clip,
        seed=job.seed,
        verdict=check.judgement.verdict,
        problems=list(check.judgement.codes),
        measured=dict(check.figures),
        checked_at=Now(),
    )
