"""Plans: the figures that were published, what else follows from the formulas, and what cannot be planned."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Gpu, GpuPrice, PeerPrice
from billing.price_book import Rate
from generation.costs.estimates import Throughput
from generation.planner import fleets
from generation.planner.capacity import Capacity
from generation.planner.comparison import compare
from generation.planner.outlay import gpus_needed, outlay
from generation.planner.plan import Plan, plan
from generation.planner.question import ImpossiblePlan, Market, Question, shares
from tests.generation.lines import ended, workspace_of

RUNWAY = "Runway Gen-3 Alpha"


def question(**of: Any) -> Question:
    """A thousand clips of four seconds a day with LTX, the published example."""
    return Question(**{"clips_per_day": 1000, "seconds": 4, "model": "ltx-video", **of})


def against(found: Plan, market: Market, peer: str = RUNWAY) -> Any:
    return next(one for one in found.chosen.costs[market].comparisons if one.peer.name == peer)


@pytest.mark.django_db
class TestThePublishedExample:
    """1,000 four-second clips a day with LTX-Video on a spot H100 SXM5: 500 s an hour, $0.80 an hour."""

    @pytest.fixture
    def found(self) -> Plan:
        return plan(question())

    def test_it_takes_eight_hours_of_one_h100(self, found: Plan) -> None:
        assert found.chosen.capacity.gpu == "H100 SXM5"
        assert found.chosen.capacity.seconds_per_hour == 500
        assert found.seconds_per_day == 4000
        assert found.chosen.gpu_hours == 8
        assert found.chosen.gpus == 1

    def test_it_costs_6_40_a_day_against_200(self, found: Plan) -> None:
        spot = found.chosen.costs[Market.SPOT].outlay
        assert spot.as_needed_day == Decimal("6.40")
        (runway,) = [peer for peer in found.peers if peer.price.name == RUNWAY]
        assert (runway.usd_per_day, runway.usd_per_month) == (200, 6000)

    def test_one_spot_h100_around_the_clock_is_576_a_month(self, found: Plan) -> None:
        spot = found.chosen.costs[Market.SPOT].outlay
        assert spot.gpu_month == spot.always_on_month == 576

    def test_a_second_is_31_times_cheaper_and_25_times_as_it_was_rounded(self, found: Plan) -> None:
        assert found.chosen.costs[Market.SPOT].outlay.usd_per_second == Decimal("0.0016")
        held = against(found, Market.SPOT)
        assert held.times == Decimal("31.25")
        assert held.times_rounded == 25  # $0.05 over "roughly $0.002"

    def test_it_breaks_even_between_50_and_150_clips_a_day(self, found: Plan) -> None:
        assert against(found, Market.SPOT).always_on_clips == 96
        assert against(found, Market.SPOT, "Runway and Sora, lower end").always_on_clips == 120

    def test_on_demand_it_is_dearer_and_told_beside(self, found: Plan) -> None:
        on_demand = found.chosen.costs[Market.ON_DEMAND].outlay
        assert (on_demand.as_needed_day, on_demand.gpu_month) == (Decimal("23.20"), 2088)
        assert on_demand.usd_per_second == Decimal("0.0058")

    def test_what_was_published_is_marked_as_an_estimate(self, found: Plan) -> None:
        assert found.is_estimate
        assert found.chosen.capacity.is_estimate
        assert all(costs.outlay.rate.is_estimate for costs in found.chosen.costs.values())

    def test_wan_is_3_cents_a_second_on_demand(self) -> None:
        found = plan(question(model="wan2.2-i2v", gpu="H100 SXM5"))
        cost = found.chosen.costs[Market.ON_DEMAND].outlay.usd_per_second
        assert Decimal("0.029") < cost < Decimal("0.036")


@pytest.mark.django_db
class TestChoosing:
    def test_the_driver_s_name_will_do(self) -> None:
        assert plan(question(gpu="NVIDIA L40S")).chosen.capacity.gpu == "L40S"

    def test_by_prices_on_demand_another_gpu_is_the_cheapest(self) -> None:
        found = plan(question(market="on_demand"))
        assert found.chosen.capacity.gpu == "L40S"
        assert found.cheapest.rate.market == Market.ON_DEMAND

    def test_every_gpu_that_could_do_it_is_told_the_cheapest_first(self) -> None:
        found = plan(question())
        seconds = [choice.lowest().usd_per_second for choice in found.choices]
        assert len(seconds) == 6
        assert seconds == sorted(seconds)

    def test_a_price_of_today_counts_and_own_ones_are_no_estimate(self) -> None:
        GpuPrice.objects.update(is_estimate=False)
        GpuPrice.objects.create(
            gpu_id="H100 SXM5", market="spot", usd_per_hour="0.40", effective_from=date(2026, 5, 1), source="bill"
        )
        spot = plan(question(gpu="H100 SXM5")).chosen.costs[Market.SPOT].outlay
        assert spot.as_needed_day == Decimal("3.20")
        assert not spot.rate.is_estimate

    def test_what_was_measured_here_goes_before_the_estimate(self) -> None:
        studio = workspace_of(1)
        for _ in range(20):  # 8 frames at 8 a second, in 3.6 s of the GPU
            ended(
                studio,
                model="ltx-video-2b",
                size="720p-16-9",
                width=1280,
                height=720,
                step=0.45,
                gpu="NVIDIA L40S",
            )
        found = plan(question(gpu="L40S"))
        assert found.chosen.capacity.seconds_per_hour == pytest.approx(1000, rel=0.01)
        assert found.chosen.capacity.throughput.is_measured
        assert found.is_estimate  # the price is one still

    def test_smaller_pictures_and_fewer_steps_take_less(self) -> None:
        usual = plan(question(gpu="H100 SXM5")).chosen.gpu_hours
        small = plan(question(gpu="H100 SXM5", size="720p-1-1")).chosen.gpu_hours
        draft = plan(question(gpu="H100 SXM5", preset="draft")).chosen.gpu_hours
        assert small == pytest.approx(usual * 720 * 720 / (1280 * 720))
        assert draft == pytest.approx(usual / 2)


@pytest.mark.django_db
class TestWaits:
    def test_a_larger_fleet_is_tried_until_the_promises_are_kept(self) -> None:
        found = plan(question())
        assert [fleet.gpus for fleet in found.waits] == [1, 2]
        assert [fleet.keeps_promises for fleet in found.waits] == [False, True]
        assert found.waits[0].busy == pytest.approx(8 / 24)
        assert found.waits[1].tiers["paid"].p95 <= 60 < found.waits[0].tiers["paid"].p95

    def test_the_fleet_that_is_asked_about_is_told_alone(self) -> None:
        found = plan(question(fleet=3, tiers={"paid": 1, "free": 1}))
        assert [fleet.gpus for fleet in found.waits] == [3]
        assert set(found.waits[0].tiers) == {"paid", "free"}

    def test_a_fleet_that_cannot_keep_up_has_no_wait(self) -> None:
        (fleet,) = plan(question(clips_per_day=4000, fleet=1, gpu="H100 SXM5")).waits
        assert (fleet.busy, fleet.tiers, fleet.keeps_promises) == (1, {}, False)

    def test_neither_has_one_that_the_plan_s_limit_keeps_idle(self) -> None:
        (fleet,) = plan(question(clips_per_day=4000, fleet=8, gpu="H100 SXM5", workspaces=1, plan="free")).waits
        assert fleet.tiers == {}

    def test_a_plan_s_limit_makes_a_lone_workspace_wait(self) -> None:
        def p95(slug: str) -> float:
            found = plan(question(clips_per_day=1500, fleet=8, gpu="H100 SXM5", workspaces=1, plan=slug))
            return found.waits[0].tiers["paid"].p95

        assert p95("free") > 100 > p95("studio")

    def test_too_many_clips_are_not_simulated_and_it_says_so(self) -> None:
        found = plan(question(clips_per_day=20_001))
        assert found.waits == ()
        assert "at most 20,000 clips a day, but 20,001" in found.no_waits
        assert found.chosen.gpu_hours == pytest.approx(160.008)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("of", "field", "sentence"),
    [
        ({"clips_per_day": 0}, "clips_per_day", "clips_per_day must be from 1 to 10,000,000, but is 0"),
        ({"seconds": 0}, "seconds", "seconds must be from 1 to 8.5, but is 0"),
        ({"seconds": float("nan")}, "seconds", "seconds must be from 1 to 8.5, but is nan"),
        ({"model": "sora"}, "model", "but is 'sora'"),
        ({"size": "8k"}, "size", "but is '8k'"),
        ({"preset": "best"}, "preset", "preset must be one of draft, standard, high, but is 'best'"),
        ({"gpu": "Voodoo 2"}, "gpu", "but is 'Voodoo 2'"),
        ({"model": "preview", "gpu": "L40S"}, "gpu", "nobody knows how fast preview is on the L40S"),
        ({"model": "ltx-2", "gpu": "RTX 4090"}, "gpu", "needs a GPU with at least 30 GiB for 720p-16-9, but"),
        ({"market": "spot", "gpu": "RTX 4090"}, "gpu", "must have a spot"),
        ({"market": "barter"}, "market", "market must be one of on_demand, spot, but is 'barter'"),
        ({"fleet": 0}, "fleet", "fleet must be from 1 to 1,000, but is 0"),
        ({"workspaces": 0}, "workspaces", "workspaces must be from 1 to 1,000, but is 0"),
        ({"plan": "platinum"}, "plan", "the plan must be one of creator, enterprise, free, studio"),
        ({"profile": "lunar"}, "profile", "profile must be one of flat, working-day, but is 'lunar'"),
        ({"tiers": {"gold": 1}}, "tiers", "tiers must be one of paid, free, batch, but is 'gold'"),
        ({"tiers": {"paid": 0}}, "tiers", "every tier's share must be above 0, but tiers is paid=0"),
        ({"tiers": {}}, "tiers", "every tier's share must be above 0, but tiers is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_says_why(of: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(ImpossiblePlan) as refused:
        plan(question(**of))
    assert sentence in refused.value.message
    assert refused.value.field == field


@pytest.mark.django_db
def test_without_prices_or_gpus_nothing_can_be_planned() -> None:
    GpuPrice.objects.filter(market="spot").delete()
    with pytest.raises(ImpossiblePlan, match="price book must have a spot"):
        plan(question(market="spot"))
    Gpu.objects.exclude(name="RTX 4090").delete()
    with pytest.raises(ImpossiblePlan, match="no GPU of the price book can make these clips: ltx-2 needs"):
        plan(question(model="ltx-2"))
    Gpu.objects.all().delete()
    with pytest.raises(ImpossiblePlan, match="no GPU to plan with"):
        plan(question())


@pytest.mark.parametrize(
    ("words", "found"),
    [("paid", {"paid": 1}), ("paid=7,free=3", {"paid": 7, "free": 3}), (" free = 2 ", {"free": 2})],
)  # fmt: skip
def test_shares_are_read(words: str, found: dict[str, float]) -> None:
    assert shares(words) == found


@pytest.mark.parametrize("words", ["paid=much", "paid,paid"])
def test_shares_that_make_no_sense_are_refused(words: str) -> None:
    with pytest.raises(ImpossiblePlan):
        shares(words)


RATE = Rate(Decimal("0.80"), Market.SPOT, date(2026, 4, 28), "list", is_estimate=True)
SPEED = Throughput("m", "g", 500, 500, 500, is_measured=False, samples=0, source="s")


@given(hours=st.floats(0.001, 10_000), factor=st.integers(1, 100))
def test_costs_are_linear_in_hours(hours: float, factor: int) -> None:
    capacity = Capacity("g", "", SPEED, 500)
    once, often = (outlay(RATE, capacity, times * hours, 1).as_needed_day for times in (1, factor))
    assert float(often) == pytest.approx(factor * float(once))


@given(share=st.floats(1 / 24, 1), hours=st.floats(0.001, 10_000))
def test_the_gpus_needed_do_the_busiest_hour_and_one_less_would_not(share: float, hours: float) -> None:
    gpus = gpus_needed(hours, share)
    assert gpus >= hours * share - 1e-6
    assert gpus == 1 or gpus - 1 < hours * share


@given(usd=st.decimals("0.01", "20", places=2), clip=st.floats(1, 20), hourly=st.floats(10, 2000))
def test_at_break_even_both_cost_the_same_and_one_gpu_can_make_it(
    usd: Decimal, clip: float, hourly: float
) -> None:
    price = PeerPrice(name="peer", usd_per_second=Decimal("0.05"), as_of=date(2026, 4, 28))
    own = outlay(replace(RATE, usd_per_hour=usd), Capacity("g", "", SPEED, hourly), 1, 1)
    held = compare(own, price, clip)
    if own.usd_per_second > price.usd_per_second:
        assert held.always_on_clips is held.hourly_clips is None
        return
    assert held.always_on_clips is not None
    assert float(held.always_on_clips) * clip * 0.05 == pytest.approx(float(own.gpu_day))
    assert float(held.always_on_clips) * clip <= 24 * hourly * (1 + 1e-9)
    assert float(held.hourly_clips or 0) * 24 == pytest.approx(float(held.always_on_clips))


def test_promises_are_in_the_order_in_which_workers_serve() -> None:
    assert list(fleets.promises()) == ["paid", "free", "batch"]
