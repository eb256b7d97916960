"""Whether a backlogged lane was shared by weight, held against the bound of start-time fair queueing.

While two workspaces f and m both wait in a lane, the work they were given, each divided by its weight, may differ
by at most l_f/w_f + l_m/w_m, l being the largest job of each (Goyal, Vin and Cheng 1996, theorem 1). The claims of
a lane come one after the other, so several workers add nothing to that. A workspace may be passed over while it
runs as many jobs as its plan lets it; the suite's contest (people.py) is made so that this does not happen before
its next turn: with weights 4 and 1 and at least 24 shares in the lane, a workspace that may run one job at once is
due every 24th claim, and its job is done before that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from billing.entitlements import entitlements_of
from generation.models import Attempt, Job
from tests.chaos.people import CONTEST


@dataclass(frozen=True)
class Fairness:
    claims: int
    """Claims made while every workspace still had jobs waiting."""
    worst: float
    """The largest difference of work by weight between two workspaces at any claim, as a share of its bound."""
    shares: dict[int, float]
    """Weight → mean work that a workspace of that weight was given, in milliseconds."""

    @property
    def holds(self) -> bool:
        return self.claims > 0 and self.worst <= 1


def is_decided() -> bool:
    """Whether some workspace has none of its jobs of the contest left to be claimed: what follows says nothing."""
    contest = Job.objects.filter(idempotency_key__startswith=CONTEST)
    waiting = contest.filter(state__in=Job.WAITING)
    return waiting.values("workspace").distinct().count() < contest.values("workspace").distinct().count()


def of_contest() -> Fairness:
    """How the lane of the contest was shared until the first workspace had nothing left."""
    claims = list(
        Attempt.objects.filter(number=1, job__idempotency_key__startswith=CONTEST)
        .order_by("claimed_at", "pk")
        .values_list("job__workspace_id", "job__work_ms")
    )
    left = Counter(workspace for workspace, _ in claims)
    weight = {workspace: entitlements_of(workspace).weight for workspace in left}
    largest: dict[UUID, int] = {}
    for workspace, work in claims:
        largest[workspace] = max(largest.get(workspace, 0), work)
    given: Counter[UUID] = Counter()
    worst, count = 0.0, 0
    for workspace, work in claims:
        given[workspace] += work
        left[workspace] -= 1
        count += 1
        for f, m in combinations(left, 2):
            bound = largest[f] / weight[f] + largest[m] / weight[m]
            worst = max(worst, abs(given[f] / weight[f] - given[m] / weight[m]) / bound)
        if not left[workspace]:
            break
    return Fairness(count, worst, _shares(given, weight))


def _shares(given: Counter[UUID], weight: dict[UUID, int]) -> dict[int, float]:
    found: dict[int, float] = {}
    for value in sorted(set(weight.values())):
        those = [given[workspace] for workspace, its in weight.items() if its == value]
        found[value] = sum(those) / len(those)
    return found
