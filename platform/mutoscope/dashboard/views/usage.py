"""Usage: what the workspace made and spent, its plan's limits, its credits and receipts.

Everybody in the workspace sees what was used and what is left. What was paid, and the ledger's entries, are for
owners and managers.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Sum
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render

from billing import ledger
from billing import selectors as billing
from billing.entitlements import entitlements_of
from billing.models import Payment
from billing.renewals import available
from generation import catalog, usage_csv
from generation import usage as used
from generation.quotas import quotas_of
from generation.usage import InvalidPeriod, Period, Use
from mutoscope.accounts.selectors import Access
from mutoscope.clock import database_time
from mutoscope.dashboard import charts, plan_words
from mutoscope.dashboard.gate import MANAGE, Visit, workspace_page
from mutoscope.dashboard.paging import page_of

PERIODS = {"month": "This month", "last-month": "Last month", "30-days": "Last 30 days"}
"""`?period=`, and its label. Other periods are `?from=` and `?to=`."""
_PAID = (Payment.State.PAID, Payment.State.REFUNDED)
"""States of money that came, whatever part of it went back."""
NEWEST = 8
"""Entries and receipts that stand on the page itself."""


@workspace_page(needs="jobs:read")
def usage(request: Visit, access: Access) -> HttpResponse:
    """The page."""
    refusal = ""
    try:
        chosen, period = _period(request)
    except InvalidPeriod as error:
        refusal, chosen, period = error.message, "month", used.this_month(used.today())
    context = {
        "period": period,
        "periods": PERIODS.items(),
        "chosen": chosen,
        "refusal": refusal,
        **_uses(access, period),
        **_plan(access),
        **(_money(access, period) if access.manages else {}),
    }
    return render(request, "dashboard/usage.html", context, status=422 if refusal else 200)


@workspace_page(needs="jobs:read")
def usage_file(request: Visit, access: Access) -> HttpResponseBase:
    """The period's jobs as a CSV file."""
    return usage_csv.download(access.workspace, _period(request)[1])


@workspace_page(needs=MANAGE)
def entries(request: Visit, access: Access) -> HttpResponse:
    """Every entry of the ledger about the workspace's credits, newest first."""
    page = page_of(billing.entries(access.workspace.pk), request.GET)
    template = "dashboard/_entries.html" if request.htmx else "dashboard/entries.html"
    return render(request, template, {"page": page, "entries": page.rows})


@workspace_page(needs=MANAGE)
def receipts(request: Visit, access: Access) -> HttpResponse:
    """Every payment of the workspace, newest first."""
    page = page_of(billing.payments(access.workspace.pk).order_by("-id"), request.GET)
    template = "dashboard/_receipts.html" if request.htmx else "dashboard/receipts.html"
    return render(request, template, {"page": page, "payments": page.rows})


def _period(request: Visit) -> tuple[str, Period]:
    """What was chosen, and the days it stands for. Raises `InvalidPeriod`."""
    first, last = request.GET.get("from", ""), request.GET.get("to", "")
    if first or last:
        return "", used.period_of(first, last)
    chosen, today = request.GET.get("period", ""), used.today()
    if chosen == "last-month":
        return chosen, used.last_month(today)
    return (chosen, used.last_days(today, 30)) if chosen == "30-days" else ("month", used.this_month(today))


def _uses(access: Access, period: Period) -> dict[str, Any]:
    found = used.used(access.workspace, period)
    names = {slug: model.name for slug, model in catalog.models().items()}
    series = charts.series_of(found, names)
    return {
        "total": used.total(found),
        "charts": [
            charts.chart("seconds", "Finished video", "seconds", period, found, series, lambda use: use.seconds),
            charts.chart("credits", "Credits spent", "credits", period, found, series, lambda use: use.credits),
        ],
        "models": [(names.get(slug, slug), _of_model(found, slug)) for slug in series],
    }


def _of_model(found: list[Use], slug: str) -> Use:
    return used.total(use for use in found if use.model == slug)


def _plan(access: Access) -> dict[str, Any]:
    workspace = access.workspace.pk
    plan, balance = entitlements_of(workspace), ledger.balance(workspace)
    names = {slug: model.name for slug, model in catalog.models().items()}
    left = available(workspace, plan) if plan.is_metered else None
    return {
        "plan": plan,
        "meters": [plan_words.meter(quota, plan) for quota in quotas_of(workspace, plan)],
        "facts": plan_words.facts(plan, names),
        "balance": balance,
        "left": left,
        "to_come": left - balance.available if left is not None else 0,
        "soon": database_time() + plan_words.SOON,
    }


def _money(access: Access, period: Period) -> dict[str, Any]:
    entries, payments = billing.entries(access.workspace.pk), billing.payments(access.workspace.pk)
    paid = payments.filter(paid_at__gte=period.begins, paid_at__lt=period.ends, state__in=_PAID)
    sums = paid.order_by().values("currency").annotate(sum=Sum("amount_cents") - Sum("refunded_cents"))
    return {
        "paid": sums.order_by("currency"),
        "entries": entries[:NEWEST],
        "more_entries": entries[NEWEST : NEWEST + 1].exists(),
        "payments": payments[:NEWEST],
        "more_payments": payments[NEWEST : NEWEST + 1].exists(),
    }
