"""What GPU-seconds cost by the price book, and the figures that add up to a report.

Amounts are exact: decimal dollars, not rounded before they are shown. What is not known stays unknown: a cost that
is known in part is never passed off as the whole, and no ratio is taken of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal

from django.conf import settings

from billing.price_book import PriceBook, Rate

ZERO = Decimal(0)
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Bill:
    """Seconds of one GPU and what they cost."""

    gpu: str
    """As in the price book; the driver's name where the book does not know it; empty without a GPU."""
    seconds: Decimal
    rate: Rate | None
    """None where the book has none, and without a GPU."""

    @property
    def usd(self) -> Decimal | None:
        """None where the cost is unknown. What took no time of a GPU cost nothing."""
        if not self.seconds:
            return ZERO
        return self.seconds * self.rate.usd_per_hour / _HOUR if self.rate else None


def bill(book: PriceBook, device: str, seconds: Decimal, *, is_spot: bool, on: date) -> Bill:
    """So many seconds of a GPU, by the driver's name for it, at the price of the day."""
    gpu = book.gpu_called(device) if device else None
    if gpu is None:
        return Bill(device, seconds, None)
    return Bill(gpu.name, seconds, book.rate(gpu, is_spot=is_spot, on=on))


@dataclass(slots=True)
class Figures:
    """What some attempts cost and brought. Figures add up; the ratios are taken of the sums."""

    attempts: int = 0
    jobs: int = 0
    """Each is counted where its last attempt is, and so are the credits that it paid."""
    gpu_seconds: Decimal = ZERO
    lost_seconds: Decimal = ZERO
    video_seconds: Decimal = ZERO
    credits: int = 0
    priced_usd: Decimal = ZERO
    """The cost of what has a price."""
    estimated_usd: Decimal = ZERO
    """How much of that is by prices taken over from a publication."""
    unpriced_attempts: int = 0
    unpriced_seconds: Decimal = ZERO
    """Of GPUs that the price book does not know, or has no price of for the day."""
    as_on_demand_seconds: Decimal = ZERO
    """On spot machines that the book has no spot price of: reckoned at the price on demand."""

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def charge(self, bill: Bill, attempts_on_gpu: int) -> None:
        """Take the bill of these attempts in."""
        self.gpu_seconds += bill.seconds
        usd = bill.usd
        if usd is None:
            self.unpriced_attempts += attempts_on_gpu
            self.unpriced_seconds += bill.seconds
            return
        self.priced_usd += usd
        if bill.rate and bill.rate.is_estimate:
            self.estimated_usd += usd
        if bill.rate and bill.rate.instead_of_spot:
            self.as_on_demand_seconds += bill.seconds

    @property
    def usd(self) -> Decimal | None:
        """The cost; None as soon as any part of it is unknown."""
        return None if self.unpriced_seconds else self.priced_usd

    @property
    def usd_per_second(self) -> Decimal | None:
        """Dollars for a finished second of video; None without one, or where the cost is unknown."""
        return self.usd / self.video_seconds if self.usd is not None and self.video_seconds else None

    @property
    def worth_usd(self) -> Decimal:
        """What the credits that were paid are worth."""
        return self.credits * settings.CREDIT_USD

    @property
    def margin_usd(self) -> Decimal | None:
        """What is left of that after the cost, below 0 where it is less; None where the cost is unknown."""
        return self.worth_usd - self.usd if self.usd is not None else None

    @property
    def margin(self) -> Decimal | None:
        """The margin as a share of what the credits are worth; None where nothing was paid."""
        return self.margin_usd / self.worth_usd if self.margin_usd is not None and self.worth_usd else None

    @property
    def lost_share(self) -> Decimal | None:
        """The share of the GPU-seconds whose steps led to no clip; None without a GPU."""
        return self.lost_seconds / self.gpu_seconds if self.gpu_seconds else None
