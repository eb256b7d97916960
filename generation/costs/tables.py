"""The cost report for people and for spreadsheets: on the admin's page, on the terminal, and as CSV."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import Protocol

from generation.costs.figures import Figures
from generation.costs.report import Report

UNKNOWN = "unknown"
NONE = "–"
COLUMNS = (
    "jobs", "attempts", "GPU hours", "lost", "finished s", "cost", "$ per finished s", "credits", "worth",
    "margin",
)  # fmt: skip
CSV_COLUMNS = (
    "jobs", "attempts", "gpu_seconds", "lost_gpu_seconds", "finished_seconds", "cost_usd", "cost_usd_at_estimates",
    "cost_usd_known_part", "unpriced_attempts", "unpriced_gpu_seconds", "spot_seconds_at_on_demand_price",
    "usd_per_finished_second", "credits", "credits_usd", "margin_usd",
)  # fmt: skip


def headings(report: Report) -> list[str]:
    """What stands above the columns of the report's rows."""
    return ["GPU" if name == "gpu" else name for name in report.by] + list(COLUMNS)


def dollars(amount: Decimal | None, places: int = 2) -> str:
    """As people read it, with the minus before the sign; `UNKNOWN` for None."""
    if amount is None:
        return UNKNOWN
    return f"{'-' if round(amount, places) < 0 else ''}${abs(amount):,.{places}f}"


def cost(figures: Figures) -> str:
    """What it cost, marked where it goes by estimated prices; `UNKNOWN` where a part is, `NONE` without a GPU."""
    if not figures.gpu_seconds:
        return NONE
    estimate = " (estimate)" if figures.usd is not None and figures.estimated_usd else ""
    return dollars(figures.usd) + estimate


def cells(figures: Figures) -> list[str]:
    """The `COLUMNS`, as people read them."""
    return [
        f"{figures.jobs:,}",
        f"{figures.attempts:,}",
        f"{figures.gpu_seconds / 3600:,.2f}",
        NONE if figures.lost_share is None else f"{figures.lost_share:.1%}",
        f"{figures.video_seconds:,.1f}",
        cost(figures),
        _per_second(figures),
        f"{figures.credits:,}",
        dollars(figures.worth_usd),
        dollars(figures.margin_usd) + (f" ({figures.margin:.0%})" if figures.margin is not None else ""),
    ]


def _per_second(figures: Figures) -> str:
    if figures.usd is None:
        return UNKNOWN
    return (
        NONE if figures.usd_per_second is None or not figures.gpu_seconds else dollars(figures.usd_per_second, 4)
    )


def notes(report: Report) -> list[str]:
    """What must be known to read the figures rightly: prices that are missing, estimated, or of another market."""
    total = report.total
    said = []
    if total.unpriced_seconds:
        attempts = "1 attempt" if total.unpriced_attempts == 1 else f"{total.unpriced_attempts:,} attempts"
        said.append(
            f"The cost of {attempts} is unknown ({total.unpriced_seconds / 3600:,.2f} GPU-hours), and so are sums "
            f"with them. The others cost {dollars(total.priced_usd)}."
        )
    if report.unknown_gpus:
        said.append(
            f"The price book does not know {', '.join(report.unknown_gpus)}: add the name to the GPU that it is, "
            "or add the GPU."
        )
    if report.without_price:
        said.append(f"The price book has no price for some of these days of {', '.join(report.without_price)}.")
    if total.estimated_usd:
        said.append(
            f"{dollars(total.estimated_usd)} of the cost goes by published prices: estimates, until you enter "
            "your own in the price book."
        )
    if total.as_on_demand_seconds:
        said.append(
            f"{total.as_on_demand_seconds / 3600:,.2f} GPU-hours on spot machines are reckoned at the price on "
            "demand, for the price book has no spot price of those GPUs."
        )
    return said


class Sink(Protocol):
    """What text can be written to: a file, a response."""

    def write(self, text: str, /) -> object: ...


def write_csv(report: Report, to: Sink) -> None:
    """The report's rows, without their sum: unrounded, empty where a value is unknown or there is none."""
    sheet = csv.writer(to)
    sheet.writerow([*report.by, *CSV_COLUMNS])
    for row in report.rows:
        sheet.writerow([*row.key, *_numbers(row.figures)])


def _numbers(figures: Figures) -> list[object]:
    exact = [
        figures.jobs, figures.attempts, figures.gpu_seconds, figures.lost_seconds, figures.video_seconds,
        figures.usd, figures.estimated_usd, figures.priced_usd, figures.unpriced_attempts,
        figures.unpriced_seconds, figures.as_on_demand_seconds, figures.usd_per_second, figures.credits,
        figures.worth_usd, figures.margin_usd,
    ]  # fmt: skip
    return [f"{value:f}" if isinstance(value, Decimal) else "" if value is None else value for value in exact]
