"""The operators' pages about the quality of clips."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from django.test import Client
from django.urls import reverse

from generation import attempts
from generation.models import ClipCheck, Job
from generation.outputs.quality import verdict_on
from generation.outputs.quality.check import BrokenClip, Check
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from tests.generation.samples import finishing, unsaved_clip

LIST = reverse("admin:generation_clipcheck_changelist")


def check(*codes: str) -> Check:
    return Check(verdict_on(codes), {"flicker": 7.5, "last_frame": None})


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


@pytest.fixture
def jobs(access: Access) -> dict[str, Job]:
    """One whose clip is good, one doubtful, one broken."""
    found = {}
    for verdict, codes in {"good": (), "doubtful": ("flickers", "cut"), "broken": ("black",)}.items():
        job = found[verdict] = finishing(access)
        if verdict == "broken":
            Job.objects.filter(pk=job.pk).update(is_reseeded=True)
            job.is_reseeded = True
            attempts.settle_error(job, BrokenClip(check(*codes)))
        else:
            attempts.succeed(job, unsaved_clip(job), check(*codes))
    return found


def shown(operator: Client, query: str) -> Iterable[str]:
    page = operator.get(f"{LIST}?{query}")
    assert page.status_code == 200
    return sorted(row.verdict for row in page.context["cl"].result_list)


@pytest.mark.parametrize(
    ("query", "verdicts"),
    [
        ("", ["broken", "doubtful", "good"]),
        ("verdict__exact=broken", ["broken"]),
        ("problem=flickers", ["doubtful"]),
        ("problem=black", ["broken"]),
        ("problem=frozen", []),
        ("job__model=still", ["broken", "doubtful", "good"]),
        ("job__model=preview", []),
        ("q=Alice", ["broken", "doubtful", "good"]),
    ],
)
def test_checks_are_filtered(operator: Client, jobs: dict[str, Job], query: str, verdicts: list[str]) -> None:
    assert shown(operator, query) == verdicts


def test_a_check_is_shown_with_its_figures(operator: Client, jobs: dict[str, Job]) -> None:
    html = operator.get(LIST).content.decode()
    assert "the clip flickers, and changes all of a sudden, as if it were cut" in html
    assert "not kept" in html
    assert ">still<" in html.replace(" ", "").replace("\n", "")
    doubtful = ClipCheck.objects.get(verdict="doubtful")
    html = operator.get(reverse("admin:generation_clipcheck_change", args=[doubtful.pk])).content.decode()
    assert "7.5" in html
    assert "last frame" in html
    assert reverse("admin:generation_job_change", args=[doubtful.job_id]) in html


def test_a_job_shows_what_was_found_in_its_clips(operator: Client, jobs: dict[str, Job]) -> None:
    html = operator.get(reverse("admin:generation_job_change", args=[jobs["broken"].pk])).content.decode()
    assert "the clip is black for the most part" in html
    assert "7.5" in html
