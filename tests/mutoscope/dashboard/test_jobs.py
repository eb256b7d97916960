"""History, and the page of one job in each of its states."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from assets import trash
from assets.models import Asset
from generation import attempts
from generation.engines.base import EngineError
from generation.models import Job
from generation.outputs.quality import verdict_on
from generation.outputs.quality.check import Check
from generation.services import JobRequest, cancel, submit
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.paging import PAGE
from tests.generation.samples import finishing, unsaved_clip

HISTORY = reverse("dashboard:jobs")
PROVENANCE = {
    "is_signed": True, "issuer": "Alice Films", "is_development": False, "source_type": "trainedAlgorithmicMedia",
    "model": "LTX-Video 2B", "model_version": "a6d59ee37c13", "made_at": "2026-11-22T19:52:36+00:00",
    "ingredients": ["First picture"],
}  # fmt: skip


def _page(job: Job, name: str = "job") -> str:
    return reverse(f"dashboard:{name}", args=[job.pk])


def _end(job: Job, state: str, **changes: object) -> None:
    Job.objects.filter(pk=job.pk).update(state=state, ended_at=timezone.now(), **changes)


def test_a_waiting_job_is_followed_live(alices: Client, job: Job) -> None:
    html = alices.get(_page(job)).content.decode()
    assert f'data-stream="/api/v1/jobs/{job.pk}/events/stream"' in html
    assert f'hx-get="{_page(job, "job_panel")}"' in html
    assert "Waiting for its turn" in html
    assert "Asked for" in html
    assert "<progress" in html
    assert 'aria-live="polite"' in html
    assert str(job.seed) in html
    assert '<noscript><meta http-equiv="refresh"' in html


def test_the_panel_is_a_fragment(alices: Client, job: Job) -> None:
    html = alices.get(_page(job, "job_panel")).content.decode()
    assert "<html" not in html
    assert 'id="panel"' in html


def test_a_finished_job_shows_its_clip(alices: Client, access: Access, job: Job) -> None:
    clip = Asset.objects.create(
        workspace=access.workspace, kind="video", origin="generated", name="clip.mp4", media_type="video/mp4",
        uploaded_type="video/mp4", size_bytes=9, sha256="0", width=64, height=64, seconds=2, file="clip.mp4",
    )  # fmt: skip
    _end(job, Job.State.SUCCEEDED, output=clip)
    html = alices.get(_page(job)).content.decode()
    assert "<video" in html
    assert "controls loop muted playsinline" in html
    assert 'download="mutoscope-' in html
    assert f"{reverse('dashboard:create')}?from={job.pk}" in html
    assert "data-stream" not in html
    trash.delete(access, clip.pk)
    html = alices.get(_page(job)).content.decode()
    assert "<video" not in html
    assert "The clip was deleted." in html


def test_a_clip_shows_its_content_credentials(alices: Client, access: Access, job: Job) -> None:
    clip = Asset.objects.create(
        workspace=access.workspace, kind="video", origin="generated", name="clip.mp4", media_type="video/mp4",
        uploaded_type="video/mp4", size_bytes=9, sha256="0", width=64, height=64, seconds=2, file="clip.mp4",
        provenance=PROVENANCE,
    )  # fmt: skip
    _end(job, Job.State.SUCCEEDED, output=clip)
    html = alices.get(_page(job)).content.decode()
    for said in (
        "Content credentials",
        "Alice Films",
        "Made by AI",
        "LTX-Video 2B",
        "First picture",
        "22 Nov 2026",
    ):
        assert said in html
    assert "Signed for development" not in html

    def shown(**changes: object) -> str:
        Asset.objects.filter(pk=clip.pk).update(provenance={**PROVENANCE, **changes})
        return alices.get(_page(job)).content.decode()

    assert "Computed, without AI" in shown(source_type="algorithmicMedia")
    assert "Signed for development: readers elsewhere will show an unknown signer." in shown(is_development=True)
    assert "None: files of the type video/webm cannot" in shown(
        is_signed=False, reason="files of the type video/webm cannot hold a C2PA manifest"
    )
    Asset.objects.filter(pk=clip.pk).update(provenance={})
    assert "Content credentials" not in alices.get(_page(job)).content.decode()


@pytest.mark.parametrize(("codes", "noted"), [(["flickers"], True), ([], False)])
def test_a_doubtful_clip_has_a_note_and_a_good_one_none(
    alices: Client, access: Access, codes: list[str], noted: bool
) -> None:
    job = finishing(access)
    attempts.succeed(job, unsaved_clip(job), Check(verdict_on(codes)))
    html = alices.get(_page(job)).content.decode()
    assert ("Look twice: the clip flickers." in html) == noted
    assert ("Look twice" in html) == noted


def test_another_seed_than_was_asked_for_is_told(alices: Client, access: Access) -> None:
    job = finishing(access)
    attempts.settle_error(job, EngineError("clip_broken", "the clip is black", "ours"))
    html = alices.get(_page(job)).content.decode()
    assert "in place of the first one, whose clip was broken" in html
    assert "it is made once more, from the seed" in html


def test_a_failed_job_says_why(alices: Client, job: Job) -> None:
    _end(job, Job.State.FAILED, error_code="out_of_memory", error_message="the card ran out of memory")
    html = alices.get(_page(job)).content.decode()
    assert "the card ran out of memory" in html
    assert "Try again" in html


def test_a_picture_that_was_deleted_leaves_the_page_whole(alices: Client, access: Access, job: Job) -> None:
    assert job.picture_id
    trash.delete(access, job.picture_id)
    assert alices.get(_page(job)).status_code == 200
    assert "/files/" not in alices.get(HISTORY).content.decode()


def test_cancelling(alices: Client, job: Job) -> None:
    html = alices.post(_page(job, "cancel_job"), follow=True).content.decode()
    assert "It was cancelled." in html
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED


def test_cancelling_too_late_is_told_on_the_page(alices: Client, job: Job) -> None:
    _end(job, Job.State.SUCCEEDED)
    answer = alices.post(
        _page(job, "cancel_job"), follow=True, headers={"Referer": f"http://testserver{_page(job)}"}
    )
    assert answer.redirect_chain[0][0].endswith(_page(job))
    assert "a job can be cancelled until it has ended, but this one is succeeded" in answer.content.decode()
    answer = alices.post(_page(job, "cancel_job"), headers={"Referer": "https://evil.example/"})
    assert answer["Location"] == reverse("dashboard:library")


@pytest.mark.parametrize("name", ["job", "job_panel"])
def test_a_job_is_seen_from_its_workspace_alone(bobs: Client, charlies: Client, job: Job, name: str) -> None:
    assert Client().get(_page(job, name)).status_code == 302
    answer = charlies.get(_page(job, name))
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()
    html = bobs.get(_page(job, name)).content.decode()
    assert str(job.seed) in html
    assert _page(job, "cancel_job") not in html
    assert "?from=" not in html


def test_who_may_cancel(bobs: Client, charlies: Client, job: Job) -> None:
    assert bobs.post(_page(job, "cancel_job")).status_code == 403
    assert charlies.post(_page(job, "cancel_job")).status_code == 404
    assert charlies.post(reverse("dashboard:cancel_job", args=[uuid4()])).status_code == 404
    assert Client().post(_page(job, "cancel_job")).status_code == 302
    job.refresh_from_db()
    assert job.state == Job.State.QUEUED


def test_history_lists_and_filters(alices: Client, charlies: Client, access: Access, job: Job) -> None:
    other = submit(access, JobRequest(model="still", mode="t2v", prompt="a lake at dawn"))
    cancel(access, other.pk)
    html = alices.get(HISTORY).content.decode()
    assert html.index("a lake at dawn") < html.index("the steam rises")
    active = alices.get(HISTORY, {"state": "active"}).content.decode()
    assert "the steam rises" in active
    assert "a lake at dawn" not in active
    assert "Nothing here." in alices.get(HISTORY, {"state": "failed"}).content.decode()
    assert alices.get(HISTORY, {"state": "nonsense"}).status_code == 200
    assert "the steam rises" not in charlies.get(HISTORY).content.decode()
    assert Client().get(HISTORY).status_code == 302


def test_history_pages_and_asks_the_database_no_more_for_it(
    alices: Client, access: Access, picture: Asset, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(PAGE + 2):
        submit(access, JobRequest(model="still", picture=picture.pk, prompt=f"number {number}."))
    # session, user, memberships, jobs, workspaces for the menu; four for the credits in the header; eight for
    # what is to be expected of them all
    with django_assert_num_queries(17):
        html = alices.get(HISTORY).content.decode()
    assert html.count('class="job-row"') == PAGE
    before = html.split('hx-get="?')[1].split('"')[0]
    answer = alices.get(f"{HISTORY}?{before}", headers={"HX-Request": "true"})
    rest = answer.content.decode()
    assert rest.count('class="job-row"') == 2
    assert "number 0." in rest
    assert "Show more" not in rest
    assert alices.get(HISTORY, {"before": "nonsense"}).status_code == 404


def test_a_jobs_page_asks_no_more_than_it_needs(
    alices: Client, job: Job, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # session, user, memberships, job with picture and clip, events, workspaces for the menu; four for the
    # credits in the header; eight for what is to be expected: the time, what is in hand, paces, the place, pauses,
    # workers, who else waits, clocks
    with django_assert_num_queries(18):
        alices.get(_page(job))
