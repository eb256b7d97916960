"""What jobs cost: histories reckoned by hand, and reports that are the sum of their jobs."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from generation.costs import throughput, work
from generation.costs.figures import Figures
from generation.costs.jobs import cost_of
from generation.costs.report import Report, report
from generation.models import Attempt, Job
from mutoscope.accounts.models import Workspace
from tests.generation.costs.histories import DAY, H100, L40S, UNKNOWN, attempt, job, paid, price

D = Decimal
TODAY = DAY.date()


def costs(of: Job) -> list[tuple[Decimal, Decimal, Decimal | None]]:
    """GPU-seconds, lost ones, and dollars of each attempt."""
    return [(tried.seconds, tried.lost_seconds, bill.usd) for tried, bill in cost_of(of.pk).attempts]


def of_day(**options: Any) -> Report:
    return report(TODAY, TODAY, **options)


# --- One job -------------------------------------------------------------------------------------------------


def test_an_attempt_costs_the_engines_time_at_the_days_price(workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "succeeded", 36, steps=40)
    assert costs(done) == [(36, 0, D("0.029"))]  # a hundredth of $2.90


def test_spot_machines_cost_the_spot_price(workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "succeeded", 36, steps=40, is_spot=True)
    assert costs(done) == [(36, 0, D("0.008"))]


def test_without_a_spot_price_it_is_the_one_on_demand_and_said(workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "succeeded", 3600, steps=40, gpu="NVIDIA GeForce RTX 4090", is_spot=True)
    total = cost_of(done.pk).total
    assert (total.usd, total.as_on_demand_seconds) == (D("0.79"), 3600)


def test_a_resumed_job_has_lost_what_the_checkpoint_did_not_spare(workspace: Workspace) -> None:
    """Killed after 30 of 40 steps (known), resumed at step 20: a third of the first attempt is lost."""
    done = job(workspace)
    attempt(done, "returned", 30, steps=30, is_spot=True)
    attempt(done, "succeeded", 20, first_step=20, steps=20)
    (first, second) = costs(done)
    assert first[:2] == (30, D(10))
    assert second[:2] == (20, 0)
    total = cost_of(done.pk).total
    assert total.usd == (30 * D("0.80") + 20 * D("2.90")) / 3600
    assert total.lost_share == D(10) / 50


def test_a_worker_that_died_is_paid_for_until_its_lease_was_taken_back(workspace: Workspace) -> None:
    """Neither the engine's end nor its steps were written down: steps are taken to last as in the good attempt."""
    done = job(workspace)
    attempt(done, "lost", 38, engine_ended_at=None)  # closed 2 s later
    attempt(done, "succeeded", 20, first_step=20, steps=20)  # a second a step, and 20 steps spared
    assert costs(done)[0][:2] == (40, 20)


def test_what_is_spared_is_never_more_than_there_was(workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "lost", 8, engine_ended_at=None)  # a faster GPU: 20 steps in 10 s
    attempt(done, "succeeded", 20, first_step=20, steps=20)
    assert costs(done)[0][:2] == (10, 0)


def test_steps_that_a_later_attempt_did_again_are_lost(workspace: Workspace) -> None:
    """The checkpoint at 20 was dropped: the last attempt began anew. Out of 3 attempts only it led to the clip."""
    done = job(workspace)
    attempt(done, "returned", 30, steps=30)
    attempt(done, "returned", 15, first_step=20, steps=5)
    attempt(done, "succeeded", 40, steps=40)
    assert [cost[:2] for cost in costs(done)] == [(30, 30), (15, 15), (40, 0)]


def test_a_chain_of_checkpoints_loses_only_what_was_done_twice(workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "returned", 12, steps=12)  # steps 1 to 12, of which 10 are kept
    attempt(done, "returned", 20, first_step=10, steps=20)  # 11 to 30, of which 15 are kept
    attempt(done, "succeeded", 15, first_step=25, steps=15)
    assert [cost[:2] for cost in costs(done)] == [(12, 2), (20, 5), (15, 0)]


@pytest.mark.parametrize(("state", "outcome"), [("failed", "failed"), ("cancelled", "cancelled")])
def test_all_work_of_a_job_without_a_clip_is_lost(workspace: Workspace, state: str, outcome: str) -> None:
    ended = job(workspace, state)
    attempt(ended, "returned", 10, steps=10)
    attempt(ended, outcome, 20, first_step=8, engine_ended_at=None)
    assert [cost[:2] for cost in costs(ended)] == [(10, 10), (22, 22)]


def test_a_job_that_has_not_ended_has_lost_nothing_yet(workspace: Workspace) -> None:
    waiting = job(workspace, "queued")
    attempt(waiting, "returned", 10, steps=10)
    assert costs(waiting)[0][:2] == (10, 0)


def test_an_attempt_under_way_costs_what_it_took_so_far(workspace: Workspace) -> None:
    under_way = job(workspace, "running")
    began = timezone.now() - timedelta(minutes=1)
    attempt(under_way, "under_way", 0, at=began, engine_started_at=began, engine_ended_at=None, ended_at=None)
    [(seconds, lost, usd)] = costs(under_way)
    assert 60 <= seconds < 90
    assert lost == 0
    assert usd == seconds * D("2.90") / 3600


def test_an_attempt_that_never_began_costs_nothing(workspace: Workspace) -> None:
    ended = job(workspace, "failed")
    attempt(ended, "failed", None, gpu=UNKNOWN)
    assert costs(ended) == [(0, 0, 0)]


def test_without_a_gpu_there_is_no_gpu_cost(workspace: Workspace) -> None:
    done = job(workspace, model="preview")
    attempt(done, "succeeded", 50, gpu="", steps=96)
    assert costs(done) == [(0, 0, 0)]
    [row] = of_day().rows
    assert row.key == ("preview", "paid", "no GPU", "–")
    assert (row.figures.usd, row.figures.video_seconds, row.figures.lost_share) == (0, 4, None)


@pytest.mark.parametrize("gpu", [UNKNOWN, "NVIDIA H100 80GB HBM3 MIG 1g.10gb"])
def test_the_cost_of_an_unknown_gpu_is_unknown_and_not_nothing(workspace: Workspace, gpu: str) -> None:
    done = job(workspace)
    attempt(done, "lost", 10)
    attempt(done, "succeeded", 36, gpu=gpu, steps=40)
    assert costs(done)[1] == (36, 0, None)
    total = cost_of(done.pk).total
    assert (total.usd, total.unpriced_attempts, total.unpriced_seconds) == (None, 1, 36)
    assert total.priced_usd == 10 * D("2.90") / 3600


def test_before_the_books_first_price_the_cost_is_unknown(workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "succeeded", 36, steps=40, at=DAY.replace(month=4, day=27))
    assert costs(done) == [(36, 0, None)]
    found = report(date(2026, 4, 27), date(2026, 4, 27))
    assert (found.unknown_gpus, found.without_price) == ([], ["H100 SXM5"])


def test_each_attempt_has_the_price_of_its_own_day(workspace: Workspace) -> None:
    price("H100 SXM5", "on_demand", "3.60", "2026-05-11")
    done = job(workspace)
    attempt(done, "lost", 3600, at=DAY.replace(hour=23, minute=59))  # claimed before the change, ends after it
    attempt(done, "succeeded", 3600, at=DAY + timedelta(days=1), steps=40)
    assert [cost[2] for cost in costs(done)] == [D("2.90"), D("3.60")]
    assert cost_of(done.pk).total.estimated_usd == D("2.90")


# --- The report ----------------------------------------------------------------------------------------------


def test_a_row_has_cost_seconds_and_margin(workspace: Workspace) -> None:
    """Two clips of 4 s, one lost attempt and one job that failed, at $2.90 an hour; 20 credits at a cent each."""
    first, second, failed = job(workspace), job(workspace), job(workspace, "failed")
    attempt(first, "succeeded", 36, steps=40)
    attempt(second, "lost", 34, engine_ended_at=None)  # and 2 s until it was closed
    attempt(second, "succeeded", 36, steps=40)
    attempt(failed, "failed", 36)
    paid(first, 12)
    paid(second, 8)
    [row] = of_day().rows
    figures = row.figures
    assert row.key == ("ltx-video-2b", "paid", "H100 SXM5", "on demand")
    assert (figures.jobs, figures.attempts, figures.credits) == (3, 4, 20)
    assert (figures.gpu_seconds, figures.lost_seconds, figures.lost_share) == (144, 72, D("0.5"))
    assert (figures.video_seconds, figures.usd) == (8, D("0.116"))
    assert figures.usd_per_second == D("0.0145")
    assert (figures.worth_usd, figures.margin_usd, figures.margin) == (D("0.20"), D("0.084"), D("0.42"))
    assert figures.estimated_usd == figures.usd  # the seeded prices are estimates
    assert of_day().total == figures


def test_the_worth_of_a_credit_is_a_setting(workspace: Workspace, settings: Any) -> None:
    settings.CREDIT_USD = D("0.002")
    done = job(workspace)
    attempt(done, "succeeded", 36, steps=40)
    paid(done, 10)
    assert of_day().total.margin_usd == D("0.02") - D("0.029")


def test_a_user_who_cancels_pays_a_part_and_the_work_is_lost(workspace: Workspace) -> None:
    ended = job(workspace, "cancelled")
    attempt(ended, "cancelled", 18)
    paid(ended, 3)
    total = of_day().total
    assert (total.credits, total.video_seconds, total.lost_seconds) == (3, 0, 18)
    assert total.usd_per_second is None


def test_jobs_and_credits_are_counted_where_the_last_attempt_is(workspace: Workspace) -> None:
    done = job(workspace)
    attempt(done, "lost", 10, gpu=L40S, is_spot=True)
    attempt(done, "succeeded", 36, steps=40)
    paid(done, 7)
    counted = {row.key[2:]: (row.figures.jobs, row.figures.attempts, row.figures.credits) for row in of_day().rows}
    assert counted == {("L40S", "spot"): (0, 1, 0), ("H100 SXM5", "on demand"): (1, 1, 7)}


def test_days_are_in_utc_and_the_first_and_the_last_belong_to_the_report(workspace: Workspace) -> None:
    begins = DAY.replace(hour=0)
    for at in (begins - timedelta(microseconds=1), begins, begins + timedelta(days=1, microseconds=-1)):
        attempt(job(workspace), "succeeded", 36, at=at, steps=40)
    attempt(job(workspace), "succeeded", 36, at=begins + timedelta(days=1), steps=40)
    assert of_day().total.attempts == 2
    both = report(TODAY - timedelta(days=1), TODAY, by=["day"])
    assert [(row.key, row.figures.attempts) for row in both.rows] == [(("2026-05-09",), 1), (("2026-05-10",), 2)]


def test_filters_keep_one_value_and_the_choices_stay(workspace: Workspace) -> None:
    attempt(job(workspace), "succeeded", 36, steps=40)
    attempt(job(workspace, tier="batch"), "succeeded", 36, steps=40, gpu=L40S)
    attempt(job(workspace, model="svd-1.1"), "succeeded", 36, steps=40, gpu=UNKNOWN)
    found = of_day(only={"gpu": "L40S", "model": ""})
    assert [row.key for row in found.rows] == [("ltx-video-2b", "batch", "L40S", "on demand")]
    assert found.choices == {
        "model": ["ltx-video-2b", "svd-1.1"], "tier": ["batch", "paid"],
        "gpu": ["H100 SXM5", "L40S", UNKNOWN], "market": ["on demand"],
    }  # fmt: skip
    assert (found.unknown_gpus, of_day().unknown_gpus) == ([], [UNKNOWN])
    assert of_day().total.usd is None
    assert of_day(only={"tier": "batch"}).total.usd == D("0.0072")


@pytest.mark.parametrize("by", [("day", "model", "tier", "gpu", "market"), ("gpu",), ("tier", "day")])
def test_a_report_is_the_sum_of_its_jobs(workspace: Workspace, by: tuple[str, ...]) -> None:
    jobs = random_histories(workspace, Random(7), 40)  # noqa: S311  no secret
    found = report(TODAY - timedelta(days=5), TODAY + timedelta(days=5), by=by)
    of_jobs = sum((cost_of(each.pk).total for each in jobs), Figures())
    of_rows = sum((row.figures for row in found.rows), Figures())
    for sums in (of_rows, found.total):
        assert (sums.jobs, sums.attempts) == (len(jobs), Attempt.objects.count())
        assert (sums.gpu_seconds, sums.unpriced_seconds) == (of_jobs.gpu_seconds, of_jobs.unpriced_seconds)
        assert sums.unpriced_attempts == of_jobs.unpriced_attempts > 0
        for name in ("priced_usd", "estimated_usd", "lost_seconds", "as_on_demand_seconds"):
            assert getattr(sums, name) == pytest.approx(getattr(of_jobs, name), abs=D("1e-12")), name
        assert sums.video_seconds == 4 * sum(each.state == "succeeded" for each in jobs)
        assert 0 <= sums.lost_seconds <= sums.gpu_seconds


def random_histories(workspace: Workspace, random: Random, count: int) -> list[Job]:
    """Jobs of every ending with up to four attempts over some days, GPUs and markets, while prices change."""
    price("H100 SXM5", "on_demand", "3.3333", "2026-05-11")
    price("L40S", "spot", "0.2999", "2026-05-12")
    jobs = []
    for _ in range(count):
        state = random.choice(["succeeded", "succeeded", "failed", "cancelled", "queued"])
        each = job(workspace, state, model=random.choice(["ltx-video-2b", "svd-1.1"]))
        jobs.append(each)
        for last in [False] * random.randrange(4) + [True]:
            ending = {"queued": "returned"}.get(state, state)
            first, steps = random.randrange(0, 30), random.randrange(0, 30)
            attempt(
                each, ending if last else random.choice(["lost", "returned"]), random.uniform(0, 100),
                at=DAY + timedelta(hours=random.randrange(-48, 96)), first_step=first, steps=steps,
                is_spot=random.random() < 0.5, gpu=random.choice([H100, L40S, UNKNOWN, "", "NVIDIA H100 PCIe"]),
            )  # fmt: skip
    return jobs


def test_a_report_takes_three_queries_and_a_job_three(
    workspace: Workspace, django_assert_num_queries: Any
) -> None:
    jobs = random_histories(workspace, Random(3), 10)  # noqa: S311
    with django_assert_num_queries(3):
        report(TODAY - timedelta(days=5), TODAY + timedelta(days=5), by=["day", "gpu"])
    with django_assert_num_queries(3):
        cost_of(jobs[0].pk)


def test_the_statements_find_their_rows_by_index(workspace: Workspace) -> None:
    """Among 1,500 attempts of a year: one job's, and those of the last 30 days."""
    one = long_history(workspace, 1_500)
    of_job = plan_of(work.OF_JOB, {"job": one})
    assert "Seq Scan" not in of_job, of_job
    measured = plan_of(throughput.MEASURED, {"hd_pixels": 1, "days": 30})
    assert "attempt_pace" in measured, measured
    assert "Seq Scan on generation_attempt" not in measured, measured


def long_history(workspace: Workspace, count: int) -> UUID:
    """Attempts that ended six hours after one another, the last one now, each of its own job. Gives one job."""
    first = job(workspace)
    attempt(first, "succeeded", 36, at=timezone.now() - timedelta(hours=6 * count), steps=40)
    with connection.cursor() as cursor:
        for table in (Job, Attempt):
            cursor.execute(MULTIPLY[table], {"count": count, "job": first.pk})
        cursor.execute("ANALYZE generation_job, generation_attempt")
    return first.pk


MULTIPLY = {
    Job: """
        INSERT INTO generation_job
        SELECT (jsonb_populate_record(job, jsonb_build_object(
            'id', gen_random_uuid(), 'mark', job.mark + place))).*
        FROM generation_job job, generate_series(2, %(count)s) AS place WHERE job.id = %(job)s
        """,
    Attempt: """
        INSERT INTO generation_attempt
        SELECT (jsonb_populate_record(attempt, jsonb_build_object(
            'id', nextval('generation_attempt_id_seq'), 'job_id', other.id,
            'engine_started_at', attempt.engine_started_at + other.place * interval '6 hours',
            'engine_ended_at', attempt.engine_ended_at + other.place * interval '6 hours',
            'ended_at', attempt.ended_at + other.place * interval '6 hours'))).*
        FROM generation_attempt attempt,
            (SELECT id, row_number() OVER () AS place FROM generation_job WHERE id <> %(job)s) AS other
        WHERE attempt.job_id = %(job)s
        """,
}


def plan_of(statement: str, values: dict[str, Any]) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", values)
        return "\n".join(line for (line,) in cursor.fetchall())
