"""What a suite prints at its end."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Sum

from billing.models import Transfer
from tests.chaos.fairness import Fairness
from tests.chaos.faults import Happened
from tests.chaos.people import Ledger
from tests.chaos.recovery_times import SLACK, Recovery, spread
from tests.chaos.scene import Scene
from tests.chaos.setting import LEASE
from tests.chaos.stories import Breach, Story


@dataclass(frozen=True)
class Result:
    """Everything that is known at the end."""

    seed: int
    seconds: float
    told: list[Story]
    ledger: Ledger
    journal: list[Happened]
    recoveries: list[Recovery]
    fairness: Fairness
    breaches: list[Breach]


def lines(result: Result, scene: Scene) -> list[str]:
    """The report, ready to be printed."""
    ends = Counter(story.job.state for story in result.told)
    codes = Counter(story.job.error_code for story in result.told if story.job.error_code)
    kinds = Counter(breach.kind for breach in result.breaches)
    attempts = [attempt for story in result.told for attempt in story.attempts]
    calm = [recovery for recovery in result.recoveries if not recovery.disturbed]
    disturbed = [recovery for recovery in result.recoveries if recovery.disturbed]
    shares = ", ".join(f"weight {weight}: {work:.0f} ms" for weight, work in result.fairness.shares.items())
    return [
        f"seed        {result.seed} (the plan of jobs and faults again: SEED={result.seed})",
        f"time        {result.seconds:.0f} s",
        f"jobs        {len(result.told)} from {_workspaces(result)} workspaces: {_counts(ends)}",
        f"  failed    {_counts(codes) or 'none'}",
        f"  refused   {result.ledger.refused} times by a plan's limit, and asked again",
        f"ledger      {_ledger()}",
        f"attempts    {len(attempts)}: {_counts(Counter(a.outcome for a in attempts))}",
        f"faults      {len(result.journal)}: {_counts(Counter(fault.name for fault in result.journal))}",
        f"  starts    {', '.join(f'{post.name} {post.starts}' for post in scene.posts)}",
        f"  exits     {_counts(Counter(_exit(code) for post in scene.posts for code in post.exit_codes))}",
        f"  clocks    {', '.join(f'{post.name} {post.clock:+.0f} s' for post in scene.posts)}",
        (
            f"resumed     {sum(a.first_step > 0 for a in attempts)} attempts from checkpoints, "
            f"{sum(a.first_step for a in attempts)} steps spared"
        ),
        (
            f"recovery    back in the lane: {spread([r.until_back for r in calm])}; "
            f"the bound is the lease of {LEASE:g} s and {SLACK:g} s"
        ),
        f"            claimed again: {spread([r.until_claimed for r in calm if r.until_claimed])}",
        f"            while a service was away: {spread([r.until_back for r in disturbed])}",
        (
            f"fairness    {result.fairness.claims} claims with all workspaces waiting ({shares}); "
            f"worst difference {result.fairness.worst:.0%} of the bound"
        ),
        "",
        *(f"{breach.kind.upper()}: {breach.sentence}" for breach in result.breaches),
        f"lost {kinds['lost']}, doubled {kinds['doubled']}, orphaned {kinds['orphaned']}, wrong {kinds['wrong']}",
    ]


def _ledger() -> str:
    """How many entries there are of each kind, and what they moved."""
    moved = Transfer.objects.values_list("entry__kind").annotate(Count("entry", distinct=True), Sum("amount"))
    return ", ".join(f"{count} {kind} ({amount} credits)" for kind, count, amount in sorted(moved.order_by()))


def _exit(code: int) -> str:
    return f"code {code}" if code >= 0 else signal.Signals(-code).name


def _workspaces(result: Result) -> int:
    return len({story.job.workspace_id for story in result.told})


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))


def sorted_out(breaches: Sequence[Breach]) -> list[Breach]:
    """In the order in which they matter."""
    order = ("lost", "doubled", "orphaned", "wrong")
    return sorted(breaches, key=lambda breach: (order.index(breach.kind), breach.sentence))
