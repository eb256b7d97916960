"""What a demand costs on a GPU, at the prices of the price book."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import ceil

from billing.price_book import PriceBook, Rate
from generation.planner.capacity import Capacity
from generation.planner.question import Market

DAY_HOURS = 24
MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Outlay:
    """Dollars for a demand on one kind of GPU in one market. A month has 30 days.

    *As needed* pays for the GPU-hours of the work alone, as if machines came and went with it; *always on* pays
    for whole GPUs around the clock, as many as the busiest hour needs.
    """

    rate: Rate
    usd_per_second: Decimal
    """For a finished second of the asked-for video, while the GPU is busy."""
    as_needed_day: Decimal
    always_on_day: Decimal
    gpu_day: Decimal
    """One GPU around the clock."""

    @property
    def market(self) -> Market:
        return self.rate.market

    @property
    def as_needed_month(self) -> Decimal:
        return self.as_needed_day * MONTH_DAYS

    @property
    def always_on_month(self) -> Decimal:
        return self.always_on_day * MONTH_DAYS

    @property
    def gpu_month(self) -> Decimal:
        return self.gpu_day * MONTH_DAYS


def gpu_hours(seconds_per_day: float, seconds_per_hour: float) -> float:
    """Hours of one GPU that a day's seconds of video take."""
    return seconds_per_day / seconds_per_hour


def gpus_needed(hours_a_day: float, busiest_share: float) -> int:
    """GPUs that keep up in the busiest hour, when `busiest_share` of the day's work comes in."""
    return max(1, ceil(round(hours_a_day * busiest_share, 9)))


def outlay(rate: Rate, capacity: Capacity, hours_a_day: float, gpus: int) -> Outlay:
    """What so many GPU-hours a day cost, or so many GPUs around the clock."""
    return Outlay(
        rate=rate,
        usd_per_second=rate.usd_per_hour / exact(capacity.seconds_per_hour),
        as_needed_day=rate.usd_per_hour * exact(hours_a_day),
        always_on_day=rate.usd_per_hour * DAY_HOURS * gpus,
        gpu_day=rate.usd_per_hour * DAY_HOURS,
    )


def rates(book: PriceBook, gpu: str, on: date) -> dict[Market, Rate]:
    """What an hour of the GPU costs in each market where it has a price."""
    found = [book.rate(book.gpus[gpu], is_spot=is_spot, on=on) for is_spot in (False, True)]
    return {rate.market: rate for rate in found if rate and not rate.instead_of_spot}


def exact(number: float) -> Decimal:
    """The number as it is written, not as the machine holds it."""
    return Decimal(repr(number))
