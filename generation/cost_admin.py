"""The admin's pages about cost: the report, and what a single job cost. For operators alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from generation.costs import tables
from generation.costs.estimates import estimates
from generation.costs.figures import Bill
from generation.costs.jobs import cost_of
from generation.costs.report import DIMENSIONS, NO_GPU, USUAL, Report, report
from generation.costs.throughput import ENOUGH, Throughputs
from generation.costs.work import Tried
from generation.models import Attempt
from mutoscope.clock import database_time
from mutoscope.read_only import ReadOnly

DAYS = 30
"""The report's days where none are asked for, today (UTC) included."""
LONGEST = timedelta(days=3660)


class ReportForm(forms.Form):
    """Which days, broken down by what, and filtered to what."""

    since = forms.DateField(required=False)
    until = forms.DateField(required=False)
    by = forms.MultipleChoiceField(choices=[(name, name) for name in DIMENSIONS], required=False)
    model = forms.CharField(required=False)
    tier = forms.CharField(required=False)
    gpu = forms.CharField(required=False)
    market = forms.CharField(required=False)

    def clean(self) -> dict[str, Any]:
        """Days that were not asked for are the last ones."""
        asked = self.cleaned_data
        asked["until"] = asked.get("until") or database_time().date()
        asked["since"] = asked.get("since") or asked["until"] - timedelta(days=DAYS - 1)
        if asked["since"] > asked["until"]:
            raise forms.ValidationError(
                f"the first day must not be after the last, but is {asked['since']}, after {asked['until']}"
            )
        if asked["until"] - asked["since"] > LONGEST:
            raise forms.ValidationError(
                f"at most {LONGEST.days:,} days are reported at once, but "
                f"{(asked['until'] - asked['since']).days:,} are asked for"
            )
        return asked

    def report(self) -> Report:
        """As asked; the usual one where that breaks the rules."""
        asked: Mapping[str, Any] = self.cleaned_data if self.is_valid() else _usual()
        by = [name for name in DIMENSIONS if name in asked["by"]] or USUAL
        only = {name: asked.get(name, "") for name in DIMENSIONS[1:]}
        return report(asked["since"], asked["until"], by=by, only=only)


def _usual() -> dict[str, Any]:
    today = database_time().date()
    return {"since": today - timedelta(days=DAYS - 1), "until": today, "by": USUAL}


@admin.register(Attempt)
class CostAdmin(ReadOnly, ModelAdmin):
    """What attempts cost. Its list is the cost report, as a page and as CSV."""

    list_select_related = ["job"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = ReportForm(request.GET)
        found = form.report()
        if request.GET.get("format") == "csv" and form.is_valid():  # else the page says what is wrong
            return _download(found)
        asked = request.GET.copy()
        asked["format"] = "csv"
        context = {
            **self.admin_site.each_context(request),
            "title": "Costs",
            "report": found,
            "form": form,
            "table": _table(found),
            "notes": tables.notes(found),
            "throughputs": _throughputs(found),
            "enough": ENOUGH,
            "dimensions": DIMENSIONS,
            "choices": [(name, found.choices[name], request.GET.get(name, "")) for name in DIMENSIONS[1:]],
            "csv": asked.urlencode(),
        }
        return TemplateResponse(request, "admin/costs.html", context)


def _download(found: Report) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    name = f"costs-{found.since}-{found.until}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    tables.write_csv(found, response)
    return response


def _table(found: Report) -> dict[str, Any]:
    """The report as django-unfold's table wants it, its sum last."""
    rows = [[*row.key, *tables.cells(row.figures)] for row in found.rows]
    if rows:
        rows.append(["all", *[""] * (len(found.by) - 1), *tables.cells(found.total)])
    return {"headers": tables.headings(found), "rows": rows}


def _throughputs(found: Report) -> dict[str, Any]:
    """How much video an hour of each GPU makes, of the report's models, else of those that are published."""
    known = Throughputs.read()
    published = sorted({row.model for row in estimates().throughput})
    gpus = [gpu for gpu in found.choices["gpu"] if gpu != NO_GPU] or sorted(
        {row.gpu for row in estimates().throughput}
    )
    facts = (known.of(model, gpu) for model in found.choices["model"] or published for gpu in gpus)
    return {
        "headers": ["model", "GPU", "720p seconds an hour", "how it is known", "source"],
        "rows": [
            [
                fact.model,
                fact.gpu,
                f"{fact.seconds_per_hour:,.0f}"
                if fact.low == fact.high
                else f"{fact.low:,.0f} to {fact.high:,.0f}",
                "measured" if fact.is_measured else "estimate",
                fact.source,
            ]
            for fact in facts
            if fact is not None
        ],
    }


def job_cost(job_id: UUID) -> SafeString:
    """What the job has cost so far, attempt by attempt, as a table."""
    found = cost_of(job_id)
    table = {
        "headers": ["attempt", "outcome", "GPU", "rate", "GPU-seconds", "lost", "cost"],
        "rows": list(_attempt_rows(found.attempts)),
    }
    return render_to_string("admin/job_cost.html", {"table": table, "total": tables.cost(found.total)})


def _attempt_rows(attempts: Iterable[tuple[Tried, Bill]]) -> Iterable[list[str]]:
    for tried, bill in attempts:
        yield [
            str(tried.number),
            Attempt.Outcome(tried.outcome).label,
            (f"{bill.gpu}, spot" if tried.is_spot else bill.gpu) if bill.gpu else NO_GPU,
            _rate(bill),
            f"{tried.seconds:,.1f}",
            f"{tried.lost_seconds:,.1f}",
            tables.dollars(bill.usd, 4) if bill.gpu else tables.NONE,
        ]


def _rate(bill: Bill) -> str:
    if not bill.gpu:
        return tables.NONE
    if bill.rate is None:
        return "not in the price book"
    remark = "".join(
        (
            ", an estimate" if bill.rate.is_estimate else "",
            "; there is no spot price" if bill.rate.instead_of_spot else "",
        )
    )
    market, since = bill.rate.market.value.replace("_", " "), bill.rate.effective_from
    return f"{tables.dollars(bill.rate.usd_per_hour)}/h {market} from {since}{remark}"
