"""What a job has cost when it has ended: the rule, and its entry in the ledger.

A job that succeeded costs the price at which it was accepted. One that failed, missed its deadline, or that an
operator cancelled costs nothing. One that its user cancels costs the part that ran: the price times the share of
the engine's steps that were done, rounded down; nothing while it waits in its lane, be it anew after a worker was
lost, and all of it once every frame has been made.

The share is what the job's row says when it ends. A worker writes it down about once a second, so the steps of the
last second may go unpaid: never is a step paid that was not done. An attempt that goes on from a checkpoint begins
with the share that the checkpoint spares it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor
from uuid import UUID

from billing import ledger
from billing.entitlements import Entitlements
from billing.errors import InsufficientCredits
from billing.renewals import next_renewal, renew
from generation.models import Job


def hold(job: Job, plan: Entitlements) -> None:
    """Set the job's price aside; jobs on a plan that is not metered have none.

    Raises `InsufficientCredits`, with when more come.
    """
    if not job.credits:
        return
    try:
        _hold(job, plan)
    except InsufficientCredits as refusal:
        renews = next_renewal(job.workspace_id, plan)
        if renews is None:
            raise InsufficientCredits(refusal.message, **refusal.details, resets_at=None) from refusal
        source, more = plan.source_of("credits_per_month"), f"{plan.credits_per_month:,} more"
        raise InsufficientCredits(
            f"{refusal.message}; {source} brings {more} on {renews:%Y-%m-%d at %H:%M} UTC",
            **refusal.details,
            resets_at=renews.isoformat(),
        ) from refusal


def _hold(job: Job, plan: Entitlements) -> None:
    try:
        ledger.hold(job.workspace_id, job.pk, job.credits)
    except InsufficientCredits:
        # Asked for only when they are needed: the first job of a month pays with what the month brought.
        if not renew(job.workspace_id, plan):
            raise
        ledger.hold(job.workspace_id, job.pk, job.credits)


def settle(job: Job, was: Job.State, to: Job.State, *, by_user: bool) -> None:
    """Pay and give back. `job` has the `credits` and the `progress` from before it ended as `was`."""
    if job.credits:
        ledger.settle(job.pk, charge(job, was, to, by_user=by_user))


def charged(jobs: Iterable[Job]) -> dict[UUID, int]:
    """Credits that each of the jobs has cost, in one query; jobs that have not ended are left out."""
    ended = [job for job in jobs if job.state in Job.TERMINAL]
    priced = [job.pk for job in ended if job.credits]
    paid = ledger.captured(priced) if priced else {}
    return {job.pk: paid.get(job.pk, 0) for job in ended}


def charge(job: Job, was: Job.State, to: Job.State, *, by_user: bool) -> int:
    """Credits that the job costs, now that it goes from `was` to `to`."""
    if to == Job.State.SUCCEEDED:
        return job.credits
    if to == Job.State.CANCELLED and by_user and was in Job.HELD:
        return floor(round(job.credits * job.progress, 6))
    return 0
