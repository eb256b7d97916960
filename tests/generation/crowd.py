"""Many workspaces at once, each with a plan of its own."""

from __future__ import annotations

from billing.models import Plan
from billing.services import subscribe
from generation.models import Job
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from mutoscope.accounts.models import ApiKey, Workspace
from mutoscope.accounts.selectors import Access
from tests.generation.samples import PAID


def tenant(name: str, *, weight: int = 1, concurrent_jobs: int = 1000, queued_jobs: int = 10_000) -> Access:
    """A workspace on a plan of its own, as its programs see it."""
    workspace = Workspace.objects.create(name=name)
    plan = Plan.objects.create(
        slug=str(workspace.pk),
        name=name,
        tiers=["paid", "free", "batch"],
        weight=weight,
        concurrent_jobs=concurrent_jobs,
        queued_jobs=queued_jobs,
    )
    subscribe(workspace, plan)
    return Access(workspace=workspace, scopes=frozenset(ApiKey.Scope), user=None, key=None, role="owner")


def claimed(count: int, *lanes: Lane, by: str = "w") -> list[Job]:
    """So many claims, one after the other; fewer when the lanes run dry."""
    jobs = [claim(lanes or [PAID], Claimant(by)) for _ in range(count)]
    return [job for job in jobs if job is not None]


def names(jobs: list[Job]) -> list[str]:
    """Whose they are."""
    return [job.workspace.name for job in jobs]
