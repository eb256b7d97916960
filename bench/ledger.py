"""What the ledger costs: `python -m bench.ledger`.

Two workspaces ask for the same jobs in turn, one on a plan that is metered and one on a plan that is not, so that
whatever else the machine does meets both: submits a second one by one and from several threads at once, then
claims with everything that the database is told until a success. At last the audit goes through the books of many.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

from bench import setting  # it says where everything lies
from bench.claims import database, fill

if TYPE_CHECKING:
    from mutoscope.accounts.selectors import Access

ROUNDS, JOBS = 10, 40
"""Rounds in turn, and jobs of each workspace in a round."""
THREADS = 4
BOOKS = 100_000
"""Jobs whose books are gone through."""
WORKSPACES = 1_000
MODEL = "null-priced"

MADE = [
    """UPDATE generation_job
       SET model = 'null-priced', credits = 3, state = 'succeeded', progress = 1, ended_at = now()""",
    "DELETE FROM generation_flow",
    """INSERT INTO billing_account (id, kind, workspace_id, balance, created_at)
       SELECT gen_random_uuid(), kind, id, 0, now()
       FROM accounts_workspace, (VALUES ('credits'), ('held')) AS of_each (kind)""",
]
"""Every job has ended, and every workspace has its accounts."""
ENTERED = """
    WITH entry AS (
        INSERT INTO billing_entry (kind, workspace_id, job_id, reference, reason, made_by_name, at)
        SELECT %(kind)s, workspace_id, CASE WHEN %(kind)s <> 'grant' THEN id END, '', '', '', now()
        FROM generation_job RETURNING id, workspace_id)
    INSERT INTO billing_transfer (entry_id, source_id, target_id, amount)
    SELECT entry.id, source.id, target.id, 3 FROM entry
    JOIN billing_account AS source ON source.kind = %(source)s
        AND coalesce(source.workspace_id::text, '') = CASE WHEN %(source)s IN ('credits', 'held')
            THEN entry.workspace_id::text ELSE '' END
    JOIN billing_account AS target ON target.kind = %(target)s
        AND coalesce(target.workspace_id::text, '') = CASE WHEN %(target)s IN ('credits', 'held')
            THEN entry.workspace_id::text ELSE '' END
"""
"""An entry for each job."""
WAYS = (("grant", "granted", "credits"), ("hold", "credits", "held"), ("capture", "held", "spent"))


def main() -> None:
    with setting.database_alone():
        people = {"off (not metered)": workspace(None), "on (metered)": workspace(0)}
        compare("submits a second, one by one", people, lambda who: [submit(who) for _ in range(JOBS)])
        compare(f"submits a second, {THREADS} threads", people, submit_at_once)
        compare(
            "claims and successes a second", people, serve, before=lambda who: [submit(who) for _ in range(JOBS)]
        )
        audit_of_many()


def workspace(credits_per_month: int | None) -> Access:
    """A workspace on a plan of its own, with credits enough where they are needed."""
    from billing import grants
    from billing.models import Plan
    from billing.services import subscribe
    from mutoscope.accounts.models import ApiKey, Workspace
    from mutoscope.accounts.selectors import Access

    made = Workspace.objects.create(name=f"bench {uuid4()}")
    plan = Plan.objects.create(
        slug=str(made.pk), name="Bench", tiers=["paid"], queued_jobs=1_000_000, concurrent_jobs=1_000_000,
        credits_per_month=credits_per_month,
    )  # fmt: skip
    subscribe(made, plan)
    if credits_per_month is not None:
        grants.grant(made.pk, 10_000_000, reason="bench")
    return Access(workspace=made, scopes=frozenset(ApiKey.Scope), user=None, key=None, role="owner")


def compare(
    what: str,
    people: dict[str, Access],
    work: Callable[[Access], object],
    *,
    before: Callable[[Access], object] = lambda who: None,
) -> None:
    """The same work for each in turn; `before` is not counted, nor what is left over afterwards."""
    rates: dict[str, list[float]] = {name: [] for name in people}
    for number in range(ROUNDS + 1):
        for name in list(people) if number % 2 else reversed(people):
            before(people[name])
            began = time.perf_counter()
            work(people[name])
            rate = JOBS / (time.perf_counter() - began)
            rates[name] += [rate] if number else []  # the first round warms caches and connections
            clear()
    print(f"\n## {what.capitalize()} ({ROUNDS} × {JOBS} of each in turn)")
    print("\n| ledger | median | best |\n|---|---|---|")
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, found in rates.items():
        print(f"| {name} | {medians[name]:.1f} | {max(found):.1f} |")
    off, on = medians.values()
    print(f"| ratio, on to off | {on / off:.2f} | |", flush=True)


def submit(who: Access) -> None:
    from generation import services
    from generation.services import JobRequest

    services.submit(who, JobRequest(model=MODEL, mode="t2v", seed=1))


def submit_at_once(who: Access) -> None:
    from django.db import connection

    def some(_: int) -> None:
        try:
            for _ in range(JOBS // THREADS):
                submit(who)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(some, range(THREADS)))


def serve(who: Access) -> None:
    """What the database is told of each job from the claim to the success; no engine and no file."""
    from assets.models import Asset
    from generation import attempts
    from generation.scheduling.claims import Claimant, claim
    from generation.scheduling.lanes import Lane

    for _ in range(JOBS):
        job = claim([Lane(MODEL, "paid")], Claimant("bench", "bench/0"))
        assert job is not None
        attempts.start_finishing(job, {}, steps=8)
        clip = Asset(
            workspace=who.workspace, kind="video", origin="generated", name="clip.mp4", media_type="video/mp4",
            uploaded_type="video/mp4", size_bytes=4, sha256="0" * 64, width=64, height=64, seconds=1.0, fps=8.0,
            file="clip.mp4",
        )  # fmt: skip
        attempts.succeed(job, clip)


def clear() -> None:
    """No job is left to weigh upon the next round, and nothing is left held."""
    from generation import control
    from generation.models import Job

    for job_id in Job.objects.filter(model=MODEL, state__in=Job.ACTIVE).values_list("pk", flat=True):
        control.cancel(job_id, "bench")


def audit_of_many() -> None:
    """How long `manage.py ledger verify` takes over the books of many jobs."""
    from django.db import connection

    from billing.audit import problems
    from billing.models import Entry
    from generation.audit import EVERY_CHECK

    with database("bench_books"):
        fill(WORKSPACES, BOOKS // WORKSPACES)
        began = time.perf_counter()
        with connection.cursor() as cursor:
            for statement in MADE:
                cursor.execute(statement)
            for kind, source, target in WAYS:
                cursor.execute(ENTERED, {"kind": kind, "source": source, "target": target})
            cursor.execute("VACUUM ANALYZE")
        print(f"entered in {time.perf_counter() - began:.0f} s")
        print(
            f"\n## The audit of {BOOKS:,} jobs, {Entry.objects.count():,} entries\n\n| rule | seconds |\n|---|---|"
        )
        total = 0.0
        for check in EVERY_CHECK:
            began = time.perf_counter()
            found = list(problems([check]))
            seconds = time.perf_counter() - began
            assert not found, found[:3]
            total += seconds
            print(f"| {check.rule} | {seconds:.2f} |")
        print(f"| all | {total:.1f} |", flush=True)


if __name__ == "__main__":
    main()
