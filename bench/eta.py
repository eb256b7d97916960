"""How far off the ETAs are: a simulated day of mixed load, each job's outlook held against what became of it.

`python -m bench.eta` [--seed 1] [--load 0.25] simulates the day in `var/bench/` (see `bench.day`).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.setting import database_alone

if TYPE_CHECKING:
    from bench.day import Day
    from generation.forecast.outlook import Outlook
    from generation.models import Job

AGAIN = (0.3, 0.7)
"""Shares of the wait, as it was expected at submission, after which the outlook is looked at again."""


@dataclass
class Told:
    """What a job's outlook said at one moment."""

    job: Job
    when: str
    at: float
    outlook: Outlook
    claimed: int
    """Claims from its lane so far."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--load", type=float, default=0.25)
    asked = options.parse_args()
    with database_alone():
        from bench.day import Day

        told: list[Told] = []
        costs: list[float] = []

        def look(day: Day, job: Job, when: str) -> Outlook | None:
            from generation.forecast.outlook import outlook

            day.look()
            job.refresh_from_db()
            began = time.perf_counter()
            found = outlook(job)
            costs.append(time.perf_counter() - began)
            if found and found.ends_in:
                told.append(Told(job, when, day.now, found, len(day.claimed[job.lane])))
            return found

        def on_submit(day: Day, job: Job) -> None:
            found = look(day, job, "at submission")
            if found and found.ends_in:
                for share in AGAIN:
                    day.at(day.now + found.ends_in.likely * share, lambda: look(day, job, "later") and None)

        began = time.perf_counter()
        day = Day(asked.seed, asked.load, on_submit)
        day.run()
        print(f"Seed {asked.seed}, load {asked.load:g}: {dict(day.counts)}, {time.perf_counter() - began:.0f} s")
        print(f"Workers busy: {day.busy / 86400 / len(day.machines):.0%} of a day")
        report(day, told, costs)


def report(day: Day, told: Sequence[Told], costs: Sequence[float]) -> None:
    """The tables of docs/benchmarks.md."""
    known = [one for one in told if one.job.pk in day.ended]
    print(
        "\n| looked at | tier | looks | remaining p50 s | p90 s | error p50 s | p90 s | as a share p50 | p90",
        end="",
    )
    print(" | bias | within the range | earlier | later |")
    print(f"|{'---|' * 13}")
    for when in ("at submission", "later"):
        for tier in ("paid", "free", "batch", ""):
            some = [one for one in known if one.when == when and one.job.tier.startswith(tier)]
            if some:
                _row(day, when, tier or "all", some)
    positions = [error for one in known if (error := _position_error(day, one)) is not None]
    waits = [one for one in known if one.outlook.position]
    print(
        f"\nPosition: {len(positions)} told, off by (p50, p90, mean): "
        f"{_p(positions, 50):.0f}, {_p(positions, 90):.0f}, {statistics.fmean(positions):.2f}; "
        f"longest line {max(one.outlook.position or 0 for one in waits)}"
    )
    print(f"One outlook: p50 {_p(costs, 50) * 1e3:.1f} ms, p99 {_p(costs, 99) * 1e3:.1f} ms")


def _row(day: Day, when: str, tier: str, some: Sequence[Told]) -> None:
    waits = [day.ended[one.job.pk] - one.at for one in some]
    likely = [one.outlook.ends_in.likely for one in some]
    errors = [abs(a - b) for a, b in zip(waits, likely, strict=True)]
    shares = [error / wait for error, wait in zip(errors, waits, strict=True)]
    bias = sum(likely) / sum(waits) - 1
    below = sum(wait < one.outlook.ends_in.low for wait, one in zip(waits, some, strict=True)) / len(some)
    above = sum(wait > one.outlook.ends_in.high for wait, one in zip(waits, some, strict=True)) / len(some)
    print(
        f"| {when} | {tier} | {len(some)} | {_p(waits, 50):.0f} | {_p(waits, 90):.0f} | {_p(errors, 50):.0f} | "
        f"{_p(errors, 90):.0f} | {_p(shares, 50):.0%} | {_p(shares, 90):.0%} | {bias:+.0%} | "
        f"{1 - below - above:.0%} | {below:.0%} | {above:.0%} |"
    )


def _position_error(day: Day, one: Told) -> int | None:
    """Jobs that were claimed before it beyond those that were said to be; None where it was not waiting."""
    if not one.outlook.position:
        return None
    order = day.claimed[one.job.lane]
    return abs(order.index(one.job.pk, one.claimed) - one.claimed - (one.outlook.position - 1))


def _p(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


if __name__ == "__main__":
    main()
