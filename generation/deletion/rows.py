"""The rows of a deleted workspace: jobs stay for the costs and the books, without words; all others go.

Which others there are is asked of the models: whatever refers to workspaces, and would go with one, goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db import models, transaction

from assets.models import Asset
from billing.models import Customer
from generation.deletion import traces
from generation.models import Attempt, Job, JobEvent
from mutoscope.accounts.models import Workspace

BATCH = 500
"""Rows that go in one transaction."""
WORDLESS: dict[str, Any] = {
    "created_by": None, "api_key": None, "picture": None, "last_picture": None, "sound": None, "output": None,
    "prompt": "", "negative_prompt": "", "recipe": {}, "error_message": "", "idempotency_key": "",
    "request_digest": "", "checkpoint": "",
}  # fmt: skip
"""A job as the books and the cost report need it: model, size, tier, price, times and outcome are left."""
_OF_JOB: tuple[type[models.Model], ...] = (Attempt, JobEvent)
"""What stays of a job: when which worker tried, and how that ended."""
_OF_WORKSPACE: tuple[type[models.Model], ...] = (Job, Customer)
"""What stays of a workspace. The customer is a number at the payment provider, for refunds that come late."""


def strip(workspace_id: UUID, until: float) -> bool:
    """Take away every row and word of the workspace that the books do not need; its files must be gone.

    Returns whether it is through: not where `until`, on the monotonic clock, came before.
    """
    return all(time.monotonic() < until for _ in _batches(workspace_id))


def _batches(workspace_id: UUID) -> Iterator[int]:
    """Each step is one transaction; what has been done is not found again."""
    yield from _strip_jobs(workspace_id)
    yield from _delete(Asset.objects.filter(workspace=workspace_id))
    for model, column in referring_to(Workspace):
        if model not in _OF_WORKSPACE:
            yield from _delete(model._default_manager.filter(**{column: workspace_id}))


def referring_to(model: type[models.Model]) -> Iterator[tuple[type[models.Model], str]]:
    """Models whose rows would go with a row of `model`, each with its column."""
    for relation in model._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel) and relation.on_delete is models.CASCADE:
            yield relation.related_model, relation.field.name


def _strip_jobs(workspace_id: UUID) -> Iterator[int]:
    wordy = Job.objects.filter(workspace=workspace_id).exclude(**WORDLESS).order_by("pk")
    while ids := list(wordy.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            Attempt.objects.filter(job__in=ids).update(reason="")
            JobEvent.objects.filter(job__in=ids).update(message="")
            for model, column in referring_to(Job):
                if model not in _OF_JOB:
                    model._default_manager.filter(**{f"{column}__in": ids}).delete()
            traces.forget_in_admin_log(Job, ids)
            Job.objects.filter(pk__in=ids).update(**WORDLESS)
        yield len(ids)


def _delete(found: models.QuerySet[Any]) -> Iterator[int]:
    while ids := list(found.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            traces.forget_in_admin_log(found.model, ids)
            found.filter(pk__in=ids).delete()
        yield len(ids)
