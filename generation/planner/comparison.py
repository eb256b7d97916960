"""Own GPUs against what hosted services take for a second of video."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from billing.models import PeerPrice
from generation.planner.outlay import MONTH_DAYS, Outlay, exact

TENTH_OF_A_CENT = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Peer:
    """What a hosted service would take for the same demand."""

    price: PeerPrice
    usd_per_day: Decimal

    @property
    def usd_per_month(self) -> Decimal:
        return self.usd_per_day * MONTH_DAYS


@dataclass(frozen=True, slots=True)
class Comparison:
    """A peer's price held against an outlay."""

    peer: PeerPrice
    times: Decimal | None
    """By how much a finished second is cheaper on a busy GPU: the peer's price over the own cost; None where that
    is 0."""
    times_rounded: Decimal | None
    """The same with the own cost rounded to a tenth of a cent, as publications like to do it."""
    always_on_clips: Decimal | None
    """Clips a day from which on one GPU around the clock costs less than the peer; None where it never does, for
    it cannot make so many."""
    hourly_clips: Decimal | None
    """Clips that an hour of a GPU must bring in to cost less than the peer, where it is rented by the hour and
    only while there is work; None likewise."""


def peer(price: PeerPrice, seconds_per_day: float) -> Peer:
    """What the service takes for a day's seconds of video."""
    return Peer(price, price.usd_per_second * exact(seconds_per_day))


def compare(outlay: Outlay, price: PeerPrice, clip_seconds: float) -> Comparison:
    """Hold the peer's price for clips of so many seconds against what they cost on the GPU.

    Break-even is where rent for the GPU = clips × seconds × the peer's price. One GPU makes so many clips exactly
    if a second costs no more on it, when it is busy, than the peer takes.
    """
    own, per_clip = outlay.usd_per_second, price.usd_per_second * exact(clip_seconds)
    rounded = own.quantize(TENTH_OF_A_CENT, ROUND_HALF_UP)
    pays = own <= price.usd_per_second and per_clip > 0
    return Comparison(
        peer=price,
        times=price.usd_per_second / own if own else None,
        times_rounded=price.usd_per_second / rounded if rounded else None,
        always_on_clips=outlay.gpu_day / per_clip if pays else None,
        hourly_clips=outlay.rate.usd_per_hour / per_clip if pays else None,
    )
