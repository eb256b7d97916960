"""Everything that enters something in the ledger, at once and at random: no deadlock, and the books are right."""

from __future__ import annotations

import random
from functools import partial

import pytest
from django.db.models import Sum

from billing import expiry, grants, ledger, renewals
from billing.errors import InsufficientCredits, LedgerRefusal
from billing.models import Account, Entry, Plan
from generation import attempts, audit, control, recovery, services
from generation.errors import AlreadyEnded
from generation.models import Job
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from mutoscope.clock import database_time
from tests.generation.crowd import tenant
from tests.generation.samples import at_once, expire, unsaved_clip

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

LANE = Lane("zoetrope", "paid")
THREADS, STEPS = 6, 30


def metered(count: int, credits: int) -> list[Access]:  # noqa: A002  the field's own word
    """So many workspaces, each on a plan of so many credits a month."""
    people = [tenant(f"w{number}") for number in range(count)]
    Plan.objects.filter(pk__in=[str(who.workspace.pk) for who in people]).update(credits_per_month=credits)
    return people


def submit(who: Access, seconds: float = 2) -> Job:
    return services.submit(who, JobRequest(model="zoetrope", mode="t2v", tier="paid", seconds=seconds))


def work(chance: random.Random) -> None:
    """Claim a job and end it in one of the ways that there are, or lose it."""
    job = claim([LANE], Claimant("w"))
    if job is None:
        return
    way = chance.random()
    try:
        if way < 0.2:
            expire(job)
            recovery.return_lost_jobs()
        elif way < 0.4:
            attempts.fail(job, "bad", "it was bad")
        else:
            attempts.note_progress(job, chance.random())
            attempts.start_finishing(job, {}, steps=8)
            attempts.succeed(job, unsaved_clip(job))
    except attempts.Lost:
        return  # cancelled meanwhile


def live(people: list[Access], chance: random.Random) -> None:
    for _ in range(STEPS):
        who, way = chance.choice(people), chance.random()
        try:
            if way < 0.35:
                submit(who)
            elif way < 0.7:
                work(chance)
            elif way < 0.8:
                job = Job.objects.filter(workspace=who.workspace, state__in=Job.ACTIVE).order_by("?").first()
                if job and chance.random() < 0.7:
                    services.cancel(who, job.pk)
                elif job:
                    control.cancel(job.pk, "enough")
            elif way < 0.87:
                grants.adjust(who.workspace.pk, chance.choice([9, 5, -3]), reason="test")
            elif way < 0.94:
                ledger.add(who.workspace.pk, 4, Entry.Kind.GRANT, reason="test", expires_at=database_time())
                expiry.sweep()
            else:
                renewals.renew_all()
        except (InsufficientCredits, LedgerRefusal, AlreadyEnded):
            continue


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_at_once_the_books_are_right(seed: int) -> None:
    people = metered(3, credits=30)
    chances = [random.Random(f"{seed} {number}") for number in range(THREADS)]  # noqa: S311  a known seed is meant
    at_once(*[partial(live, people, chance) for chance in chances])
    expiry.sweep()
    assert list(audit.problems()) == []
    assert Entry.objects.filter(kind="capture").exists()
    assert Entry.objects.filter(kind="release").exists()
    renewed = Entry.objects.filter(kind="renewal").values_list("workspace_id", flat=True)
    assert sorted(renewed) == sorted(who.workspace.pk for who in people)
    held = Account.objects.filter(kind="held").aggregate(sum=Sum("balance"))["sum"]
    active = Job.objects.filter(state__in=Job.ACTIVE).aggregate(sum=Sum("credits"))["sum"] or 0
    assert held == active


def test_of_submissions_at_once_as_many_are_accepted_as_there_are_credits_for() -> None:
    (who,) = metered(1, credits=60)

    def attempt() -> str:
        try:
            submit(who)
        except InsufficientCredits as refusal:
            return refusal.code
        return "accepted"

    answers = at_once(*[attempt] * 25)
    assert (answers.count("accepted"), answers.count("insufficient_credits")) == (10, 15)
    assert ledger.balance(who.workspace.pk) == ledger.Balance(available=0, held=60, lots=())
    assert list(audit.problems()) == []


def test_rounds_of_upkeep_at_once_do_everything_once() -> None:
    people = metered(5, credits=30)
    past = database_time()
    for who in people:
        ledger.add(who.workspace.pk, 7, Entry.Kind.GRANT, reason="test", expires_at=past)
    swept = at_once(*[expiry.sweep] * 6)
    renewed = at_once(*[renewals.renew_all] * 6)
    assert (sum(swept), sum(renewed)) == (5, 5)
    assert {ledger.balance(who.workspace.pk).available for who in people} == {30}
    assert list(audit.problems()) == []
