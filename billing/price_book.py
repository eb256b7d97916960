"""The price book: what an hour of a GPU costs on a day, and whose price that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing.models import Gpu, GpuPrice

Market = GpuPrice.Market


@dataclass(frozen=True, slots=True)
class Rate:
    """What an hour of a GPU costs, and where the book has that from."""

    usd_per_hour: Decimal
    market: GpuPrice.Market
    effective_from: date
    source: str
    is_estimate: bool
    """Taken over from a publication, not from the operator's own bill."""
    instead_of_spot: bool = False
    """The price on demand, for a spot machine that the book has no spot price of."""


class PriceBook:
    """All GPUs and their prices, read once: for many look-ups."""

    def __init__(self, gpus: Iterable[Gpu], prices: Iterable[GpuPrice]) -> None:
        self.gpus = {gpu.name: gpu for gpu in gpus}
        self._called = {
            _plain(called): gpu for gpu in self.gpus.values() for called in (gpu.name, *gpu.device_names)
        }
        self._prices: defaultdict[tuple[str, str], list[GpuPrice]] = defaultdict(list)
        for price in sorted(prices, key=lambda price: price.effective_from):
            self._prices[price.gpu_id, price.market].append(price)

    @classmethod
    def read(cls) -> PriceBook:
        """The book as it is now: two queries, however much is looked up in it."""
        return cls(Gpu.objects.all(), GpuPrice.objects.all())

    def gpu_called(self, device_name: str) -> Gpu | None:
        """The GPU that the driver, or the book itself, calls so; capitals and spaces do not matter.

        The whole name must match: a slice of a GPU ("NVIDIA H100 80GB HBM3 MIG 1g.10gb") is another thing to rent.
        """
        return self._called.get(_plain(device_name))

    def rate(self, gpu: Gpu, *, is_spot: bool, on: date) -> Rate | None:
        """What an hour of it costs on a day: the latest price in force, later ones not yet.

        A spot machine without a spot price costs what it does on demand, and the rate says so. None where the
        book has no price for the day: the cost is unknown, not nothing.
        """
        price = self._in_force(gpu, Market.SPOT, on) if is_spot else None
        instead = is_spot and price is None
        price = price or self._in_force(gpu, Market.ON_DEMAND, on)
        if price is None:
            return None
        return Rate(
            price.usd_per_hour,
            Market(price.market),
            price.effective_from,
            price.source,
            price.is_estimate,
            instead,
        )

    def _in_force(self, gpu: Gpu, market: GpuPrice.Market, on: date) -> GpuPrice | None:
        so_far = [price for price in self._prices[gpu.pk, market] if price.effective_from <= on]
        return so_far[-1] if so_far else None


def gpu_called(device_name: str) -> Gpu | None:
    """One look-up: see `PriceBook.gpu_called`."""
    return PriceBook.read().gpu_called(device_name)


def rate(gpu: Gpu, *, is_spot: bool, on: date) -> Rate | None:
    """One look-up: see `PriceBook.rate`."""
    return PriceBook([gpu], gpu.prices.all()).rate(gpu, is_spot=is_spot, on=on)


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
