"""The price book: which GPU the driver means, and what it cost on a day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Gpu, GpuPrice
from billing.price_book import PriceBook, gpu_called, rate

H100 = "NVIDIA H100 80GB HBM3"
SEEDED = date(2026, 4, 28)

pytestmark = pytest.mark.django_db


def priced(gpu: Gpu, market: str, usd: str, on: date, **columns: Any) -> None:
    GpuPrice.objects.create(
        gpu=gpu, market=market, usd_per_hour=Decimal(usd), effective_from=on, source="a bill", **columns
    )


@pytest.mark.parametrize("called", [H100, "nvidia  h100 80gb hbm3 ", "H100 SXM5"])
def test_a_gpu_is_found_by_the_drivers_name_and_its_own(called: str) -> None:
    found = gpu_called(called)
    assert found is not None
    assert found.name == "H100 SXM5"


@pytest.mark.parametrize("called", ["", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100", "NVIDIA A100"])
def test_a_name_that_the_book_does_not_have_is_no_gpu(called: str) -> None:
    assert gpu_called(called) is None


def test_the_seeded_prices_are_estimates_with_a_source() -> None:
    book = PriceBook.read()
    spot = book.rate(book.gpus["H100 SXM5"], is_spot=True, on=SEEDED)
    assert spot is not None
    assert (spot.usd_per_hour, spot.market, spot.effective_from) == (Decimal("0.80"), "spot", SEEDED)
    assert spot.is_estimate
    assert "2026-04-28" in spot.source
    assert not spot.instead_of_spot


def test_before_the_first_price_there_is_none() -> None:
    h100 = Gpu.objects.get(name="H100 SXM5")
    assert rate(h100, is_spot=False, on=date(2026, 4, 27)) is None


def test_a_new_price_holds_from_its_day_on() -> None:
    h100 = Gpu.objects.get(name="H100 SXM5")
    priced(h100, "on_demand", "2.50", date(2026, 6, 1))
    priced(h100, "on_demand", "3.10", date(2026, 5, 1))
    prices = {}
    for day in (date(2026, 4, 30), date(2026, 5, 1), date(2026, 5, 31), date(2026, 6, 1)):
        found = rate(h100, is_spot=False, on=day)
        assert found is not None
        prices[day] = (found.usd_per_hour, found.is_estimate)
    assert list(prices.values()) == [
        (Decimal("2.90"), True), (Decimal("3.10"), False), (Decimal("3.10"), False), (Decimal("2.50"), False),
    ]  # fmt: skip


def test_spot_without_a_spot_price_costs_as_on_demand_and_says_so() -> None:
    found = rate(Gpu.objects.get(name="RTX 4090"), is_spot=True, on=SEEDED)
    assert found is not None
    assert (found.usd_per_hour, found.market, found.instead_of_spot) == (Decimal("0.79"), "on_demand", True)


def test_a_spot_price_that_comes_later_is_not_taken_before() -> None:
    card = Gpu.objects.get(name="RTX 4090")
    priced(card, "spot", "0.35", date(2026, 5, 10))
    before, after = (rate(card, is_spot=True, on=date(2026, 5, day)) for day in (9, 10))
    assert before is not None
    assert after is not None
    assert (before.instead_of_spot, after.instead_of_spot) == (True, False)
    assert after.usd_per_hour == Decimal("0.35")


def test_a_gpu_without_prices_has_none() -> None:
    own = Gpu.objects.create(name="A100", vram_gb=80, device_names=["NVIDIA A100-SXM4-80GB"])
    assert rate(own, is_spot=True, on=SEEDED) is None


def test_the_book_is_read_in_two_queries(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        book = PriceBook.read()
        for gpu in book.gpus.values():
            book.rate(gpu, is_spot=True, on=SEEDED)
            book.gpu_called(gpu.device_names[0])
