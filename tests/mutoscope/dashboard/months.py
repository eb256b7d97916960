"""A month in a workspace that has used a bit of everything."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from billing import ledger
from billing.entitlements import entitlements_of
from billing.models import Entry, Payment, PlanOverride
from billing.renewals import renew
from generation.models import Job
from mutoscope.accounts.models import Workspace
from tests.generation.uses import ended_job

MODELS = ("wan2.2-i2v", "ltx-video-2b", "preview", "still", "zoetrope", "svd-1.1", "cogvideox-5b-i2v")


def a_busy_month(workspace: Workspace) -> None:
    """Jobs of many models on most days, credits of several kinds, a limit that is nearly used, two payments."""
    now = timezone.now()
    for day in range(0, 30, 2):
        for place, model in enumerate(MODELS[: 2 + day % 6]):
            amount = (day * 7 + place * 5) % 11 + 1
            ended_job(workspace, now - timedelta(days=day), model=model, seconds=amount, price=amount, paid=amount)
    ended_job(workspace, now, price=8, paid=3, state=Job.State.CANCELLED)
    renew(workspace.pk, entitlements_of(workspace.pk))
    ledger.take(workspace.pk, 5_000, Entry.Kind.ADJUSTMENT, reason="A correction")
    ledger.add(workspace.pk, 500, Entry.Kind.PURCHASE, reference="pack-1")
    ledger.add(workspace.pk, 40, Entry.Kind.GRANT, reason="Thank you", expires_at=now + timedelta(days=2))
    ledger.hold(workspace.pk, workspace.pk, 12)
    for limit, value in (("seconds_per_day", 24), ("seconds_per_month", 20)):
        PlanOverride.objects.create(
            workspace=workspace, limit=limit, value=value, reason="trial", ends_at=now + timedelta(days=9)
        )
    for number, state in enumerate((Payment.State.PAID, Payment.State.REFUNDED)):
        Payment.objects.create(
            workspace_id=workspace.pk, provider="manual", provider_id=f"invoice-{number}", kind=Payment.Kind.PACK,
            state=state, description="500 credits", amount_cents=600, refunded_cents=200 * number, currency="usd",
            credits=500, receipt_url="https://receipts.example/1", created_at=now, paid_at=now,
        )  # fmt: skip
