"""A plan: GPUs, hours and money for a demand, against hosted services, and how long people would wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from billing.models import PeerPrice
from billing.price_book import PriceBook
from generation.costs.throughput import Throughputs
from generation.planner import outlay as outlays
from generation.planner.capacity import Capacity, capacities
from generation.planner.comparison import Comparison, Peer, compare, peer
from generation.planner.demand import busiest_share
from generation.planner.fleets import FleetWaits, fleet_waits
from generation.planner.outlay import Outlay
from generation.planner.question import ImpossiblePlan, Market, Question
from mutoscope.clock import database_time


@dataclass(frozen=True, slots=True)
class Costs:
    """What the demand costs in one market, held against every hosted service."""

    outlay: Outlay
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The demand on one kind of GPU."""

    capacity: Capacity
    gpu_hours: float
    """A day."""
    gpus: int
    """That keep up in the busiest hour."""
    costs: Mapping[Market, Costs]
    """In each market where it has a price."""

    def lowest(self, market: str = "") -> Outlay:
        """The outlay with the lowest cost of a second: in a market, or in any."""
        priced = [costs.outlay for there, costs in self.costs.items() if market in ("", there)]
        return min(priced, key=lambda outlay: outlay.usd_per_second)


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to a question."""

    question: Question
    on: date
    """Of whose prices it goes by."""
    seconds_per_day: float
    """Of finished video."""
    chosen: Choice
    choices: tuple[Choice, ...]
    """Every GPU that could do it, the one with the lowest cost of a second first."""
    peers: tuple[Peer, ...]
    waits: tuple[FleetWaits, ...]
    no_waits: str
    """Why no waits were simulated; empty where they were."""

    @property
    def cheapest(self) -> Outlay:
        """What the chosen GPU costs in the market that it was chosen by."""
        return self.chosen.lowest(self.question.market)

    @property
    def is_estimate(self) -> bool:
        """Whether speed or price were taken from a publication or the catalog, not from this installation."""
        rates = [costs.outlay.rate for costs in self.chosen.costs.values()]
        return self.chosen.capacity.is_estimate or any(rate.is_estimate for rate in rates)


def plan(question: Question) -> Plan:
    """Plan by today's prices and what is known of speeds. Raises `ImpossiblePlan`. It changes nothing."""
    on = database_time().date()
    book, prices = PriceBook.read(), list(PeerPrice.objects.all())
    found = [
        _choice(question, capacity, book, prices, on)
        for capacity in capacities(question, book, Throughputs.read(book))
    ]
    priced = [
        choice for choice in found if question.market in choice.costs or (choice.costs and not question.market)
    ]
    if not priced:
        raise ImpossiblePlan(_no_price(question, found, on), field="gpu")
    priced.sort(key=lambda choice: choice.lowest(question.market).usd_per_second)
    chosen = priced[0]
    waits, no_waits = fleet_waits(question, chosen.capacity, chosen.gpu_hours, chosen.gpus)
    seconds = _seconds_per_day(question)
    return Plan(
        question=question,
        on=on,
        seconds_per_day=seconds,
        chosen=chosen,
        choices=tuple(priced),
        peers=tuple(peer(price, seconds) for price in prices),
        waits=waits,
        no_waits=no_waits,
    )


def _choice(question: Question, capacity: Capacity, book: PriceBook, prices: list[PeerPrice], on: date) -> Choice:
    hours = outlays.gpu_hours(_seconds_per_day(question), capacity.seconds_per_hour)
    gpus = outlays.gpus_needed(hours, busiest_share(question.profile))
    costs: dict[Market, Costs] = {}
    for market, rate in outlays.rates(book, capacity.gpu, on).items():
        outlay = outlays.outlay(rate, capacity, hours, gpus)
        costs[market] = Costs(outlay, tuple(compare(outlay, price, question.seconds) for price in prices))
    return Choice(capacity, hours, gpus, costs)


def _seconds_per_day(question: Question) -> float:
    return question.clips_per_day * question.seconds


def _no_price(question: Question, found: list[Choice], on: date) -> str:
    names = ", ".join(choice.capacity.gpu for choice in found)
    market = f"{Market(question.market).label} " if question.market else ""
    return f"the price book must have a {market}price on {on} for one of these GPUs, but has none: {names}"
