"""The operators' pages about cost: the report, its CSV, a job's own cost, the price book."""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

import mutoscope.urls  # noqa: F401  it registers the admin's models
from billing.models import Gpu, GpuPrice
from billing.price_book import gpu_called
from generation.costs.throughput import ENOUGH
from mutoscope.accounts.models import User, Workspace
from tests.generation.costs.histories import DAY, H100, L40S, UNKNOWN, attempt, job, paid
from tests.generation.lines import ended

PAGE = "/admin/generation/attempt/"
DAYS = {"since": "2026-05-10", "until": "2026-05-10"}


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def text(response: Any) -> str:
    """The page's words, without its marks."""
    assert response.status_code == 200, response.content
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def some_work(workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "succeeded", 3600, steps=40)
    paid(done, 400)
    attempt(job(workspace, tier="batch"), "succeeded", 3600, steps=40, gpu=L40S, is_spot=True)


def test_the_page_shows_cost_and_marks_estimates(operator: Client, workspace: Workspace) -> None:
    some_work(workspace)
    words = text(operator.get(PAGE, DAYS))
    assert "ltx-video-2b paid H100 SXM5 on demand 1 1 1.00 0.0% 4.0 $2.90 (estimate) $0.7250 400 $4.00" in words
    assert "$1.10 (28%)" in words
    assert "all 2 2 2.00 0.0% 8.0 $3.22 (estimate)" in words
    assert "$3.22 of the cost goes by published prices: estimates" in words


def test_the_page_says_what_it_does_not_know(operator: Client, workspace: Workspace) -> None:
    some_work(workspace)
    attempt(job(workspace), "succeeded", 36, steps=40, gpu=UNKNOWN)
    words = text(operator.get(PAGE, DAYS))
    assert f"{UNKNOWN} on demand 1 1 0.01 0.0% 4.0 unknown unknown 0 $0.00 unknown" in words
    assert "The cost of 1 attempt is unknown (0.01 GPU-hours)" in words
    assert f"The price book does not know {UNKNOWN}" in words


def test_without_a_gpu_the_page_shows_no_cost(operator: Client, workspace: Workspace) -> None:
    attempt(job(workspace, model="preview"), "succeeded", 36, gpu="", steps=96)
    assert "preview paid no GPU – 1 1 0.00 – 4.0 – – 0 $0.00" in text(operator.get(PAGE, DAYS))


def test_filters_and_lines_are_as_asked(operator: Client, workspace: Workspace) -> None:
    some_work(workspace)
    report = operator.get(PAGE, {**DAYS, "gpu": "L40S", "by": ["day", "gpu"]}).context["report"]
    assert [row.key for row in report.rows] == [("2026-05-10", "L40S")]
    assert operator.get(PAGE, {**DAYS, "until": "2026-05-11", "since": "2026-05-11"}).context["report"].rows == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"since": "2026-05-11", "until": "2026-05-10"}, "the first day must not be after the last"),
        ({"since": "1990-01-01", "until": "2026-05-10"}, "at most 3,660 days are reported at once"),
        ({"since": "yesterday"}, "since: Enter a valid date"),
        ({"by": "workspace"}, "by: Select a valid choice"),
    ],
)
def test_what_cannot_be_asked_is_said(operator: Client, asked: dict[str, str], said: str) -> None:
    response = operator.get(PAGE, asked)
    assert said in text(response)
    assert operator.get(PAGE, {**asked, "format": "csv"})["Content-Type"].startswith("text/html")
    assert (response.context["report"].until - response.context["report"].since).days == 29


def test_the_csv_has_the_unrounded_figures(operator: Client, workspace: Workspace) -> None:
    some_work(workspace)
    attempt(job(workspace), "succeeded", 36.5, steps=40, gpu=UNKNOWN)
    response = operator.get(PAGE, {**DAYS, "format": "csv"})
    assert response["Content-Type"].startswith("text/csv")
    assert "costs-2026-05-10-2026-05-10.csv" in response["Content-Disposition"]
    rows = {row["gpu"]: row for row in csv.DictReader(response.content.decode().splitlines())}
    assert Decimal(rows["H100 SXM5"]["cost_usd"]) == Decimal("2.9")
    assert Decimal(rows["H100 SXM5"]["margin_usd"]) == Decimal("1.1")
    assert Decimal(rows["L40S"]["usd_per_finished_second"]) == Decimal("0.08")
    unknown = rows[UNKNOWN]
    assert (unknown["cost_usd"], unknown["margin_usd"]) == ("", "")
    assert Decimal(unknown["unpriced_gpu_seconds"]) == Decimal("36.5")


def test_the_page_says_which_throughput_is_measured(operator: Client, workspace: Workspace) -> None:
    for _ in range(ENOUGH):
        ended(workspace, model="ltx-video-2b", gpu=H100, width=1280, height=720, frames=96, steps=40, step=0.5)
    attempt(job(workspace), "succeeded", 36, steps=40, gpu=L40S)
    words = text(operator.get(PAGE, {"since": "2026-05-01"}))
    assert f"ltx-video-2b H100 SXM5 2,160 measured measured here on {ENOUGH} attempts" in words
    assert "ltx-video-2b L40S 180 estimate" in words


def test_a_job_shows_its_cost_by_attempt(operator: Client, workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "returned", 30, steps=30, is_spot=True, gpu="NVIDIA GeForce RTX 4090")
    attempt(done, "lost", None, gpu="")
    attempt(done, "succeeded", 36, first_step=20, steps=20)
    words = text(operator.get(reverse("admin:generation_job_change", args=[done.pk])))
    assert "RTX 4090, spot $0.79/h on demand from 2026-04-28, an estimate; there is no spot price 30.0" in words
    assert "H100 SXM5 $2.90/h on demand from 2026-04-28, an estimate 36.0 0.0 $0.0290" in words
    assert "2 lease ran out no GPU – 0.0 0.0 –" in words


def test_creators_see_none_of_it(alice: User, workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "succeeded", 36, steps=40)
    client = Client()
    client.force_login(alice)
    pages = [PAGE, f"{PAGE}?format=csv", "/admin/billing/gpuprice/", f"/admin/generation/job/{done.pk}/change/"]
    for page in pages:
        assert client.get(page).status_code == 302, page


def test_staff_without_the_permission_see_none_of_it(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("eve@example.org", is_staff=True))
    assert [client.get(PAGE, query).status_code for query in ({}, {"format": "csv"})] == [403, 403]


# --- The price book ------------------------------------------------------------------------------------------


def test_operators_enter_a_price_from_a_day_on(operator: Client, workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "succeeded", 3600, steps=40, at=DAY)
    form = {
        "gpu": "H100 SXM5", "market": "on_demand", "usd_per_hour": "2.10", "effective_from": "2026-05-01",
        "source": "our contract",
    }  # fmt: skip
    assert operator.post("/admin/billing/gpuprice/add/", form).status_code == 302
    words = text(operator.get(PAGE, DAYS))
    assert "$2.10 $0.5250" in words
    assert "estimate, until" not in words
    assert GpuPrice.objects.filter(gpu="H100 SXM5", market="on_demand").count() == 2
    again = operator.post("/admin/billing/gpuprice/add/", form)
    assert "already exists" in text(again)


def test_operators_add_a_gpu_by_the_name_that_its_driver_gives(operator: Client) -> None:
    prices = {"prices-TOTAL_FORMS": "0", "prices-INITIAL_FORMS": "0"}
    form = {"name": "B300", "vram_gb": "288", "device_names": f"{UNKNOWN}, NVIDIA B300 SXM6", **prices}
    assert operator.post("/admin/billing/gpu/add/", form).status_code == 302
    found = gpu_called("nvidia b300 sxm6")
    assert found is not None
    assert found.name == "B300"
    taken = operator.post("/admin/billing/gpu/add/", {**form, "name": "H100 again", "device_names": H100.lower()})
    assert "is of H100 SXM5 already" in text(taken)
    assert not Gpu.objects.filter(name="H100 again").exists()


def test_a_gpu_keeps_its_name_and_its_drivers_names_when_saved(operator: Client) -> None:
    prices = {"prices-TOTAL_FORMS": "0", "prices-INITIAL_FORMS": "0"}
    page = reverse("admin:billing_gpu_change", args=["H100 SXM5"])
    changed = operator.post(page, {"name": "Other", "vram_gb": "94", "device_names": H100, **prices})
    assert changed.status_code == 302, changed.content.decode()
    gpu = Gpu.objects.get(pk="H100 SXM5")
    assert (gpu.vram_gb, gpu.device_names) == (94, [H100])
    assert not Gpu.objects.filter(pk="Other").exists()
