"""The usage page: figures, limits, credits, receipts, and who sees which."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from billing import ledger
from billing.models import Entry, Payment, Plan
from billing.services import subscribe
from generation.models import Job
from mutoscope.accounts.models import User, Workspace
from tests.generation.uses import ended_job
from tests.mutoscope.dashboard.months import a_busy_month

USAGE, FILE = reverse("dashboard:usage"), reverse("dashboard:usage_file")
ENTRIES, RECEIPTS = reverse("dashboard:entries"), reverse("dashboard:receipts")
NOVEMBER = "?from=2026-11-01&to=2026-11-30"


def text_of(client: Client, path: str) -> str:
    """What the page says, without its tags."""
    html = client.get(path).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def in_november(workspace: Workspace, day: int, **job: object) -> Job:
    return ended_job(workspace, datetime(2026, 11, day, 12, tzinfo=UTC), **job)  # type: ignore[arg-type]


def test_what_was_used(alices: Client, workspace: Workspace) -> None:
    in_november(workspace, 3, seconds=1200, price=40, paid=40)
    in_november(workspace, 4, seconds=2.5, model="zoetrope", price=8, paid=8)
    in_november(workspace, 4, state=Job.State.FAILED)
    html = alices.get(USAGE + NOVEMBER).content.decode()
    said = text_of(alices, USAGE + NOVEMBER)
    for words in (
        "1,202.5 s", "2 of 3 jobs", "Credits spent 48", "Still 2 1 1,200 40", "Zoetrope 1 1 2.5 8",
        "1,202.5 seconds, by day", "3 November: 1,200 seconds", "48 credits, by day",
    ):  # fmt: skip
        assert words in said
    assert html.count('<svg class="chart-bars"') == 2
    assert html.count('class="chart-bar"') == 60
    assert f'href="{FILE}?from=2026-11-01&amp;to=2026-11-30"' in html


def test_the_periods_that_are_offered(alices: Client, workspace: Workspace) -> None:
    now = timezone.now()
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    ended_job(workspace, first - timedelta(seconds=1), seconds=7)
    ended_job(workspace, now, seconds=3)
    assert "Finished video 3 s" in text_of(alices, USAGE)
    assert "Finished video 7 s" in text_of(alices, f"{USAGE}?period=last-month")
    assert "No job ended in these days" in text_of(alices, f"{USAGE}?from=2020-01-01&to=2020-01-02")
    html = alices.get(f"{USAGE}?period=30-days").content.decode()
    assert '<a href="?period=30-days" aria-current="true">' in html


def test_a_bad_period_is_said_at_the_days(alices: Client) -> None:
    answer = alices.get(f"{USAGE}?from=2026-11-05&to=2026-11-01")
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "A period must end on the day it begins or later" in html
    assert 'aria-invalid="true"' in html
    assert alices.get(f"{FILE}?from=nonsense").status_code == 302


def test_limits_and_credits(alices: Client, workspace: Workspace) -> None:
    subscribe(workspace, Plan.objects.get(slug="free"))
    ended_job(workspace, timezone.now(), seconds=50)
    html, said = alices.get(USAGE).content.decode(), text_of(alices, USAGE)
    for words in (
        "The plan Free", "Video today 50 s of 60 s", "Nearly used. Begins anew on", "Library 0 MiB of 2 GiB",
        "Presets draft, standard", "Largest clip 921,600 pixels", "Clips are kept 30 days", "100 to spend",
        "100 of this month, entered with its first job",
    ):  # fmt: skip
        assert words in said
    assert 'class="meter meter-near"' in html
    assert 'class="meter meter-full"' not in html
    ended_job(workspace, timezone.now(), seconds=10)
    assert 'class="meter meter-full"' in alices.get(USAGE).content.decode()


def test_credits_stand_beside_the_workspace(alices: Client, workspace: Workspace) -> None:
    library = reverse("dashboard:library")
    ledger.add(workspace.pk, 234, Entry.Kind.PURCHASE, reference="pack")
    assert f'href="{USAGE}" title="Credits that Alice &amp; Co can spend">20,234 credits</a>' in (
        alices.get(library).content.decode()
    )
    subscribe(workspace, Plan.objects.get(slug="enterprise"))
    assert "credits-left" not in alices.get(library).content.decode()
    assert "Jobs on this plan need no credits" in text_of(alices, USAGE)


def test_money_is_for_those_who_manage(alices: Client, bobs: Client, workspace: Workspace) -> None:
    a_busy_month(workspace)
    said, bobs_view = text_of(alices, USAGE), text_of(bobs, USAGE)
    assert "Paid 10.00 USD" in said
    for words in ("Receipts", "6.00 USD Paid", "2.00 USD came back", "A correction", "entry by entry"):
        assert words in said
        assert words not in bobs_view
    assert "Finished video" in bobs_view
    assert "15,533 to spend" in bobs_view
    assert bobs.get(FILE).status_code == 200
    assert [bobs.get(path).status_code for path in (ENTRIES, RECEIPTS)] == [403, 403]


def test_entries_newest_first_and_page_by_page(alices: Client, workspace: Workspace) -> None:
    job = in_november(workspace, 3, price=12, paid=5)
    for number in range(30):
        ledger.add(workspace.pk, number + 1, Entry.Kind.GRANT, reason=f"grant {number}")
    first = alices.get(ENTRIES).content.decode()
    assert first.index("grant 29") < first.index("grant 28")
    more = re.search(r'hx-get="(\?before=\d+)"', first)
    assert more
    rest = alices.get(ENTRIES + more.group(1), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in rest
    assert "grant 5<" in rest
    assert rest.count("ledger-line") == 34 - 24
    assert reverse("dashboard:job", args=[job.pk]) in rest
    lines = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", rest))
    for words in ("+7 to spend −7 held", "– to spend −5 held", "−12 to spend +12 held"):
        assert words in lines
    assert alices.get(f"{ENTRIES}?before=nonsense").status_code == 404


def test_receipts(alices: Client, workspace: Workspace) -> None:
    a_busy_month(workspace)
    said = text_of(alices, RECEIPTS)
    assert said.count("500 credits · Receipt") == 2
    assert Payment.objects.filter(workspace_id=workspace.pk).count() == 2
    assert alices.get(f"{RECEIPTS}?before=nonsense").status_code == 404


def test_other_workspaces_see_nothing_of_it(charlies: Client, alices: Client, workspace: Workspace) -> None:
    a_busy_month(workspace)
    for path in (USAGE, ENTRIES, RECEIPTS):
        said = text_of(charlies, path)
        assert "500 credits" not in said
        assert "A correction" not in said
    assert "No job ended in these days" in text_of(charlies, USAGE)


@pytest.mark.parametrize("path", [USAGE, FILE, ENTRIES, RECEIPTS])
def test_visitors_are_led_to_sign_in(db: None, path: str) -> None:
    assert Client().get(path).status_code == 302


def test_more_use_costs_no_more_queries(
    alices: Client, alice: User, workspace: Workspace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    alices.get(USAGE)
    with django_assert_num_queries(40, exact=False) as before:
        alices.get(USAGE)
    a_busy_month(workspace)
    with django_assert_num_queries(len(before), exact=False):
        alices.get(USAGE)
