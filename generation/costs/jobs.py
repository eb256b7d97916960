"""What one job cost, attempt by attempt."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from billing.price_book import PriceBook
from generation.costs import work
from generation.costs.figures import Bill, Figures, bill
from generation.costs.work import Tried


@dataclass(frozen=True, slots=True)
class JobCost:
    """The job's attempts in their order, each with its bill, and their sum."""

    attempts: list[tuple[Tried, Bill]]
    total: Figures
    """Of the attempts alone: what the job paid and made is the job's own."""


def cost_of(job_id: UUID, book: PriceBook | None = None) -> JobCost:
    """What the job has cost so far. One query, and two for the price book where it is not given."""
    book = book or PriceBook.read()
    attempts: list[tuple[Tried, Bill]] = []
    total = Figures()
    for tried in work.of_job(job_id):
        billed = bill(book, tried.gpu, tried.seconds, is_spot=tried.is_spot, on=tried.day)
        attempts.append((tried, billed))
        total += Figures(attempts=1, lost_seconds=tried.lost_seconds)
        total.charge(billed, 1)
    return JobCost(attempts, total)
