"""What a workspace has used: jobs, finished video and credits, by model and day.

A job counts on the day it ended, in UTC; a clip's seconds are those its price and the plan's limits go by. Credits
are those that were paid, and not those that were held.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import TruncDate

from billing.models import Entry, Transfer
from generation.models import Job
from mutoscope.accounts.models import Workspace
from mutoscope.clock import database_time
from mutoscope.errors import Refusal

_YEARS = range(2000, 3000)
"""Years that a period may lie in: at the ends of the calendar there is no next day."""
LONGEST = 366
"""Days that may be asked for at once."""

_CHARGED = Subquery(
    Transfer.objects.filter(entry__job_id=OuterRef("pk"), entry__kind=Entry.Kind.CAPTURE).values("amount")
)
"""Of a job: the credits that were paid for it, else null. A capture is one transfer."""


class InvalidPeriod(Refusal):
    """The days that were asked for are no period."""

    code = "invalid_period"


class Grouping(StrEnum):
    """What sums are told apart by."""

    DAY = "day"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Period:
    """Days in UTC, the first and the last among them. Raises `InvalidPeriod`."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidPeriod(
                f"a period must end on the day it begins or later, but it begins on {self.first} and ends on "
                f"{self.last}",
                field="to",
            )
        if self.length > LONGEST:
            raise InvalidPeriod(f"a period may have at most {LONGEST} days, but has {self.length}", field="from")

    @property
    def length(self) -> int:
        """In days."""
        return (self.last - self.first).days + 1

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.first, time(), UTC)

    @property
    def ends(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last, time(), UTC) + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Jobs that ended, and of those the ones that became a clip; seconds of finished video; credits paid."""

    day: date | None = None
    model: str | None = None
    jobs: int = 0
    clips: int = 0
    seconds: float = 0.0
    credits: int = 0


def today() -> date:
    """In UTC, by the database's clock."""
    return database_time().astimezone(UTC).date()


def this_month(day: date) -> Period:
    """From the first of the month that the day lies in, up to the day."""
    return Period(day.replace(day=1), day)


def last_month(day: date) -> Period:
    """The whole month before that of the day."""
    last = day.replace(day=1) - timedelta(days=1)
    return Period(last.replace(day=1), last)


def last_days(day: date, count: int) -> Period:
    """So many days, of which `day` is the last."""
    return Period(day - timedelta(days=count - 1), day)


def period_of(first: str, last: str) -> Period:
    """The period between two days, as addresses give them: 2026-11-22.

    A last day that is not given is today; a first one, the first of the last one's month. Raises `InvalidPeriod`.
    """
    ends = _day("to", last) if last else today()
    return Period(_day("from", first) if first else ends.replace(day=1), ends)


def used(
    workspace: Workspace, period: Period, by: Collection[Grouping] = (Grouping.DAY, Grouping.MODEL)
) -> list[Use]:
    """The sums of the period, told apart by `by` and in its order; only those in which a job ended."""
    jobs = ended(workspace, period).annotate(day=TruncDate("ended_at", tzinfo=UTC), charge=_CHARGED)
    is_clip = Q(state=Job.State.SUCCEEDED)
    sums = jobs.order_by(*by).values(*by).annotate(
        ended=Count("pk"),
        clips=Count("pk", filter=is_clip),
        made=Sum("seconds", filter=is_clip, default=0.0),
        charged=Sum("charge", default=0),
    )  # fmt: skip
    return [
        Use(
            day=row.get("day"),
            model=row.get("model"),
            jobs=row["ended"],
            clips=row["clips"],
            seconds=round(row["made"], 3),
            credits=int(row["charged"]),
        )
        for row in sums
    ]


def total(uses: Iterable[Use]) -> Use:
    """All of them together."""
    uses = list(uses)
    return Use(
        jobs=sum(use.jobs for use in uses),
        clips=sum(use.clips for use in uses),
        seconds=round(sum(use.seconds for use in uses), 3),
        credits=sum(use.credits for use in uses),
    )


def ended(workspace: Workspace, period: Period) -> QuerySet[Job]:
    """The workspace's jobs that ended in the period, newest first."""
    return Job.objects.filter(
        workspace=workspace, state__in=Job.TERMINAL, ended_at__gte=period.begins, ended_at__lt=period.ends
    )


def _day(field: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidPeriod(f"{field} must be a day such as 2026-11-22, but is {text!r}", field=field) from error
    if day.year not in _YEARS:
        rule = f"{field} must lie in the years {_YEARS[0]} to {_YEARS[-1]}, but is {day}"
        raise InvalidPeriod(rule, field=field)
    return day
