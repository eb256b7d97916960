"""What a claim costs, beside a short queue and beside a very long one: `python -m bench.claims`.

Two databases on one server, one with 1,000 queued jobs of 10 workspaces and one with 1,000,000 of 10,000, are
claimed from in turn, so that whatever else the machine does meets both. Then 32 workers claim from the long one at
once. `--plans` prints the query plans that `docs/scheduling.md` keeps.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

from bench import setting  # noqa: F401  it says where everything lies

ROUNDS, CLAIMS = 12, 50
"""Claims that are measured in each database: rounds, and claims in a round."""
AT_ONCE, EACH = 32, 20
"""Workers that claim at once, and the claims of each."""
QUEUES = {"bench_short": (10, 100), "bench_long": (10_000, 100)}
"""Each database's workspaces, and the jobs of each."""

FILL = [
    """INSERT INTO accounts_workspace (id, name, created_at)
       SELECT gen_random_uuid(), 'Workspace ' || n, now() FROM generate_series(1, %(workspaces)s) AS n""",
    # Rounds over the workspaces, so that the jobs of one do not lie side by side in the table.
    """INSERT INTO generation_job (
           id, workspace_id, model, tier, lane, mode, prompt, negative_prompt, size, width, height, seconds, fps,
           frames, engine_width, engine_height, engine_frames, preset, adapters, seed, idempotency_key,
           request_digest, credits, deadline, work_ms, priority, queued_at, avoid, state, attempt, failures,
           memory_plan, checkpoint, checkpoint_step, progress, error_code, error_message,
           recipe, created_at)
       SELECT gen_random_uuid(), w.id, 'null', 'paid', 'null.paid', 't2v', 'a prompt of usual length', '', 'tiny',
           64, 64, 1, 8, 8, 64, 64, 8, '', '[]', 1, '', '', 0, now() + interval '7 days',
           500 + (random() * 60000)::int, 0, now(), '',
           'queued', 0, 0, '', '', 0, 0, '', '', '{}', now()
       FROM generate_series(1, %(jobs)s) AS round, accounts_workspace AS w""",
    """INSERT INTO generation_flow (
           lane, workspace_id, tag, weight, waiting, waiting_ms, priority, oldest_at, throttled)
       SELECT lane, workspace_id, (random() * 1000)::int, 1, count(*), sum(work_ms), 0, min(queued_at), false
       FROM generation_job GROUP BY lane, workspace_id""",
]


def main() -> None:
    from mutoscope import embedded

    with embedded.services():
        import django

        django.setup()
        for name, (workspaces, jobs) in QUEUES.items():
            with database(name):
                fill(workspaces, jobs)
        if "--plans" in sys.argv:
            with database("bench_long"):
                plans()
        compare()
        with database("bench_long"):
            throttled()
            at_once()


@contextmanager
def database(name: str) -> Iterator[None]:
    """The default connection on another database of the same server."""
    from django.db import connection

    connection.close()
    connection.settings_dict["OPTIONS"].pop("pool", None)
    before, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


def fill(workspaces: int, jobs: int) -> None:
    """A fresh database with so many workspaces and as many queued jobs of each."""
    import psycopg
    from django.core.management import call_command
    from django.db import connection

    server = connection.get_connection_params() | {"dbname": "postgres"}
    server = {key: value for key, value in server.items() if key in ("host", "port", "user", "password", "dbname")}
    with psycopg.connect(**server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {connection.settings_dict['NAME']} WITH (FORCE)")  # type: ignore[arg-type]
        admin.execute(f"CREATE DATABASE {connection.settings_dict['NAME']}")  # type: ignore[arg-type]
    began = time.perf_counter()
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement, {"workspaces": workspaces, "jobs": jobs})
        cursor.execute("UPDATE billing_plan SET concurrent_jobs = 1000")
        cursor.execute("VACUUM ANALYZE")
    seconds = time.perf_counter() - began
    print(f"filled with {workspaces * jobs:,} jobs of {workspaces:,} workspaces in {seconds:.0f} s")


def one_claim() -> tuple[UUID, float]:
    from generation.scheduling.claims import Claimant, claim
    from generation.scheduling.lanes import Lane

    began = time.perf_counter()
    job = claim([Lane("null", "paid")], Claimant("bench", "bench/0"))
    assert job is not None
    return job.pk, time.perf_counter() - began


def compare() -> None:
    """The same claims from both, in turn."""
    took: dict[str, list[float]] = {name: [] for name in QUEUES}
    for number in range(ROUNDS + 1):
        for name in QUEUES:
            with database(name):
                one_claim()  # opens the connection
                times = [one_claim()[1] for _ in range(CLAIMS)]
                took[name] += times if number else []  # the first round warms the caches
    print(f"\n## A claim, {ROUNDS} × {CLAIMS} of each in turn\n\n| queued jobs | p50 ms | p99 ms |\n|---|---|---|")
    p99 = {}
    for name, times in took.items():
        cuts = statistics.quantiles(times, n=100, method="inclusive")
        p99[name] = cuts[98]
        workspaces, jobs = QUEUES[name]
        print(
            f"| {workspaces * jobs:,} of {workspaces:,} workspaces | {cuts[49] * 1e3:.2f} | {cuts[98] * 1e3:.2f} |"
        )
    print(f"| ratio of the p99 | | {p99['bench_long'] / p99['bench_short']:.2f} |")


def throttled() -> None:
    """The same when nine of ten workspaces run as many as they may, and their turns come first."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE generation_flow SET throttled = true, tag = tag - 1000000 WHERE id % 10 > 0")
        cursor.execute("VACUUM ANALYZE generation_flow")
    one_claim()
    times = [one_claim()[1] for _ in range(ROUNDS * CLAIMS)]
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    print(f"| 1,000,000, nine of ten workspaces throttled | {cuts[49] * 1e3:.2f} | {cuts[98] * 1e3:.2f} |")


def at_once() -> None:
    """Many workers at one lane."""
    from django.db import connection

    def work(number: int) -> list[tuple[UUID, float]]:
        try:
            return [one_claim() for _ in range(EACH)]
        finally:
            connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        shares = list(pool.map(work, range(AT_ONCE)))
    seconds = time.perf_counter() - began
    claimed = Counter(pk for share in shares for pk, _ in share)
    doubled = sum(count - 1 for count in claimed.values())
    times = [took for share in shares for _, took in share]
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    print(f"\n## {AT_ONCE} workers claim from one lane at once\n\n| | |\n|---|---|")
    print(f"| claims a second | {AT_ONCE * EACH / seconds:.0f} |")
    print(f"| a claim with its wait for the others, p50 / p99 | {cuts[49] * 1e3:.0f} / {cuts[98] * 1e3:.0f} ms |")
    print(f"| claimed twice | {doubled} |")
    assert doubled == 0


def plans() -> None:
    """Every query of a claim, with its plan."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        one_claim()
    for query in captured.captured_queries:
        statement = query["sql"].strip()
        if statement.startswith(("SELECT", "UPDATE")) and statement[7:28] != "statement_timestamp()":
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, SUMMARY OFF) {statement}")
                print(f"\n-- {statement[:300]}")
                print("\n".join(f"   {line}" for (line,) in cursor.fetchall()))
                cursor.execute("ROLLBACK")


if __name__ == "__main__":
    main()
