"""The admin's pages about the quality of clips: what was found in each, those that were thrown away included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from assets.admin import small_picture
from generation.models import ClipCheck
from generation.outputs.quality import FIGURE_NAMES, PROBLEMS, sentence_of
from mutoscope.read_only import ReadOnly

LABELS = {"good": "success", "doubtful": "warning", "broken": "danger"}


class ProblemFilter(SimpleListFilter):
    """Checks that found a problem."""

    title = "problem"
    parameter_name = "problem"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(problem.code, f"{problem.sentence} ({problem.verdict})") for problem in PROBLEMS.values()]

    def queryset(self, request: HttpRequest, checks: QuerySet[ClipCheck]) -> QuerySet[ClipCheck]:
        code = self.value()
        return checks.filter(problems__contains=[code]) if code else checks


class Found:
    """What a check is shown by, in the list and on its job's page."""

    @display(description="verdict", ordering="verdict", label=LABELS)  # type: ignore[untyped-decorator]
    def verdict_label(self, check: ClipCheck) -> str:
        return check.verdict

    @admin.display(description="found")
    def found(self, check: ClipCheck) -> str:
        return sentence_of(check.problems) or "–"

    @admin.display(description="figures")
    def figures(self, check: ClipCheck) -> SafeString:
        return figures_of(check.measured)


@admin.register(ClipCheck)
class ClipCheckAdmin(ReadOnly, Found, ModelAdmin):
    """Every check, the newest first."""

    list_display = [
        "thumbnail",
        "verdict_label",
        "found",
        "made_with",
        "job_link",
        "attempt",
        "seed",
        "checked_at",
    ]
    list_display_links = ["thumbnail", "verdict_label"]
    list_filter = ["verdict", ProblemFilter, "job__model", "checked_at"]
    list_select_related = ["job", "asset"]
    search_fields = ["job__id", "job__prompt", "job__workspace__name"]
    show_full_result_count = False
    fields = [
        "thumbnail", "verdict_label", "found", "made_with", "job_link", "attempt", "seed", "checked_at", "figures"
    ]  # fmt: skip
    readonly_fields = fields

    @admin.display(description="")
    def thumbnail(self, check: ClipCheck) -> SafeString | str:
        return small_picture(check.asset) if check.asset else "not kept"

    @admin.display(description="model", ordering="job__model")
    def made_with(self, check: ClipCheck) -> str:
        return check.job.model

    @admin.display(description="job")
    def job_link(self, check: ClipCheck) -> SafeString:
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', _job_page(check), check.job_id
        )


class ClipCheckInline(ReadOnly, Found, TabularInline):
    """What was found in each clip that the job's attempts have made."""

    model = ClipCheck
    verbose_name_plural = "quality"
    fields = ["attempt", "seed", "verdict_label", "found", "figures", "checked_at"]
    readonly_fields = fields
    tab = True


def figures_of(measured: Mapping[str, Any]) -> SafeString:
    """The figures as a table, in the order in which they are defined."""
    named = [(name, measured[name]) for name in FIGURE_NAMES if name in measured]  # PostgreSQL keeps no order
    rows = [[name.replace("_", " "), "–" if value is None else f"{value:g}"] for name, value in named]
    return render_to_string("admin/figures.html", {"table": {"headers": ["figure", "value"], "rows": rows}})


def _job_page(check: ClipCheck) -> str:
    return reverse("admin:generation_job_change", args=[check.job_id])
