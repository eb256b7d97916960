"""Operators cancel jobs: with a reason that the workspace reads, and at no cost to it."""

from __future__ import annotations

import pytest
from django.test import Client
from rest_framework.test import APIClient

from billing import ledger
from billing.models import Entry
from generation import attempts, control, services
from generation.models import Attempt, Job
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from mutoscope.errors import Refusal
from tests.generation.samples import finishing, kinds, submit, unsaved_clip

LIST = "/admin/generation/job/"


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def test_a_running_job_costs_nothing(access: Access) -> None:
    job = services.submit(access, JobRequest(model="zoetrope", mode="t2v", seconds=2))
    assert claim([Lane("zoetrope", "paid")], Claimant("w1")) == job
    Job.objects.filter(pk=job.pk).update(progress=0.5)
    assert ledger.balance(access.workspace.pk).held == 6
    assert control.cancel(job.pk, " the machine is needed ")
    assert not control.cancel(job.pk, "again")
    found = ledger.balance(access.workspace.pk)
    assert (found.available, found.held) == (20_000, 0)
    assert set(Entry.objects.values_list("kind", flat=True)) == {"renewal", "hold", "release"}
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("cancelled", "cancelled_by_operator")
    assert job.attempts.get().outcome == Attempt.Outcome.CANCELLED
    assert kinds(job) == ["queued", "started", "cancelled"]
    last = job.events.last()
    assert last is not None
    assert last.message == job.error_message == "cancelled by an operator: the machine is needed"


def test_the_worker_that_is_on_it_has_lost_it(access: Access) -> None:
    job = finishing(access)
    control.cancel(job.pk, "no")
    with pytest.raises(attempts.Lost):
        attempts.succeed(job, unsaved_clip(job))


def test_the_workspace_reads_the_reason(access: Access, api: APIClient, client: Client) -> None:
    job = submit(access)
    control.cancel(job.pk, "it breaks our rules")
    told = api.get(f"/api/v1/jobs/{job.pk}").json()
    message = "cancelled by an operator: it breaks our rules"
    assert told["error"] == {"code": "cancelled_by_operator", "message": message}
    assert api.get(f"/api/v1/jobs/{job.pk}/events").json()[-1]["message"] == message
    assert access.user is not None
    client.force_login(access.user)
    assert "Cancelled by an operator: it breaks our rules" in client.get(f"/jobs/{job.pk}").content.decode()


def test_what_people_cancel_themselves_has_no_error(access: Access, api: APIClient) -> None:
    job = submit(access)
    services.cancel(access, job.pk)
    assert api.get(f"/api/v1/jobs/{job.pk}").json()["error"] is None


def test_a_reason_is_needed(access: Access) -> None:
    job = submit(access)
    with pytest.raises(Refusal, match="a reason is needed"):
        control.cancel(job.pk, "  ")
    job.refresh_from_db()
    assert job.state == "queued"


def test_the_admin_asks_for_the_reason_and_cancels(operator: Client, access: Access) -> None:
    first, second, other = submit(access), submit(access), submit(access)
    services.cancel(access, second.pk)
    chosen = {"action": "cancel_jobs", "_selected_action": [str(first.pk), str(second.pk)]}
    page = operator.post(LIST, chosen).content.decode()
    assert str(first.pk) in page
    assert "These jobs end without a clip" in page
    nameless = operator.post(LIST, {**chosen, "confirm": "yes", "reason": " "}).content.decode()
    assert "Say why" in nameless
    done = operator.post(LIST, {**chosen, "confirm": "yes", "reason": "flood"}, follow=True).content.decode()
    assert "1 cancelled; 1 had ended" in done
    states = [Job.objects.get(pk=job.pk).state for job in (first, second, other)]
    assert states == ["cancelled", "cancelled", "queued"]
    assert "Cancelled: flood" in operator.get(f"{LIST}{first.pk}/history/").content.decode()
    assert "have ended" in operator.post(LIST, chosen, follow=True).content.decode()


def test_who_may_only_look_cannot_cancel(client: Client, access: Access) -> None:
    job = submit(access)
    assert access.user is not None
    User.objects.filter(pk=access.user.pk).update(is_staff=True)
    client.force_login(access.user)
    chosen = {"action": "cancel_jobs", "_selected_action": [str(job.pk)], "confirm": "yes", "reason": "no"}
    client.post(LIST, chosen)
    job.refresh_from_db()
    assert job.state == "queued"
