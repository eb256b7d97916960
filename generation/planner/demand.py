"""How many clips are asked for, and when in the day."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import accumulate
from types import MappingProxyType

HOUR = 3600.0
HOURS = 24

FLAT, WORKING_DAY = "flat", "working-day"
PROFILES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        FLAT: (1,) * HOURS,
        WORKING_DAY: (1, 1, 1, 1, 1, 1, 2, 3, 6, 8, 9, 9, 7, 8, 9, 9, 8, 7, 5, 4, 3, 3, 2, 1),
    }
)
"""How much is asked for in each hour of a day, beside the others. `working-day` is an assumption: one team or time
zone, whose busiest hours have twice the mean of the day."""


def busiest_share(profile: str) -> float:
    """The part of a day's clips that is asked for in its busiest hour."""
    weights = PROFILES[profile]
    return max(weights) / sum(weights)


def moments(clips_per_day: float, profile: str, days: int, chance: random.Random) -> Iterator[float]:
    """When clips are asked for, in seconds from the first midnight on: a Poisson process.

    Its rate follows the profile. The number of them varies, as it does; its mean is `clips_per_day` × `days`.
    """
    weights = PROFILES[profile]
    total = sum(weights)
    for hour in range(days * HOURS):
        rate = clips_per_day * weights[hour % HOURS] / total / HOUR
        # The process has no memory, so each hour may begin anew.
        moment = hour * HOUR + chance.expovariate(rate)
        while moment < (hour + 1) * HOUR:
            yield moment
            moment += chance.expovariate(rate)


def pick(shares: Mapping[str, float], chance: random.Random) -> str:
    """One of the names, as often as its share."""
    return chance.choices(list(shares), cum_weights=list(accumulate(shares.values())))[0]
