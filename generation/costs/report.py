"""The cost report: per day, model, tier, GPU and market, what was spent and what it came to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import starmap
from types import MappingProxyType

from billing.models import GpuPrice
from billing.price_book import PriceBook
from generation.costs import work
from generation.costs.figures import Bill, Figures, bill
from generation.costs.work import Kind

DIMENSIONS = ("day", "model", "tier", "gpu", "market")
"""What a report may be broken down and filtered by."""
USUAL = ("model", "tier", "gpu", "market")
NO_GPU = "no GPU"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its values of the dimensions that the report is broken down by, and the figures."""

    key: tuple[str, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """The attempts claimed from the first day to the last (UTC) that pass the filters, summed up."""

    since: date
    until: date
    by: tuple[str, ...]
    rows: list[Row]
    total: Figures
    choices: Mapping[str, list[str]]
    """What there is in these days of each dimension but the day, filtered or not."""
    unknown_gpus: list[str]
    """The driver's names of the GPUs in it that the price book does not know."""
    without_price: list[str]
    """GPUs that the book knows, but has no price of for some of the days."""


def report(
    since: date, until: date, *, by: Sequence[str] = USUAL, only: Mapping[str, str] = MappingProxyType({})
) -> Report:
    """What was spent, broken down `by` some of `DIMENSIONS`; `only` keeps one value of a dimension.

    Three queries, however much there is.
    """
    book = PriceBook.read()
    cells = [_Cell.of(kind, book) for kind in work.by_kind(since, until)]
    kept = [cell for cell in cells if all(cell.key[name] == value for name, value in only.items() if value)]
    sums: defaultdict[tuple[str, ...], Figures] = defaultdict(Figures)
    total = Figures()
    for cell in kept:
        sums[tuple(cell.key[name] for name in by)] += cell.figures
        total += cell.figures
    unpriced = {cell.bill.gpu for cell in kept if cell.bill.usd is None}
    return Report(
        since, until, tuple(by), list(starmap(Row, sorted(sums.items()))), total, dict(_choices(cells)),
        unknown_gpus=sorted(unpriced - set(book.gpus)), without_price=sorted(unpriced & set(book.gpus)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Cell:
    """One kind of attempts, with its bill: all of it has the same price."""

    key: dict[str, str]
    bill: Bill
    figures: Figures

    @classmethod
    def of(cls, kind: Kind, book: PriceBook) -> _Cell:
        billed = bill(book, kind.gpu, kind.seconds, is_spot=kind.is_spot, on=kind.day)
        market = GpuPrice.Market.SPOT if kind.is_spot else GpuPrice.Market.ON_DEMAND
        key = {
            "day": kind.day.isoformat(), "model": kind.model, "tier": kind.tier, "gpu": billed.gpu or NO_GPU,
            "market": market.value.replace("_", " ") if kind.gpu else "–",
        }  # fmt: skip
        figures = Figures(
            attempts=kind.attempts, jobs=kind.jobs, lost_seconds=kind.lost_seconds,
            video_seconds=kind.video_seconds, credits=kind.credits,
        )  # fmt: skip
        figures.charge(billed, kind.attempts_on_gpu)
        return cls(key, billed, figures)


def _choices(cells: Iterable[_Cell]) -> Iterator[tuple[str, list[str]]]:
    keys = [cell.key for cell in cells]
    for name in DIMENSIONS[1:]:
        yield name, sorted({key[name] for key in keys})
