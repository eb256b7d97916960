"""A model of the books: whatever happens, in whatever order and however often, they come out as simple sums do.

Hypothesis draws histories: people submit and cancel, workers claim, go on, finish, fail and get lost, operators
cancel, grant and adjust, packs are bought and paid back, months are renewed, credits expire, and every call may be
made twice.
After each step the audit finds nothing, and each workspace has what a few lines of Python say it has.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from math import floor
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from billing import expiry, grants, ledger
from billing.entitlements import entitlements_of
from billing.errors import InsufficientCredits, LedgerRefusal
from billing.models import Account, Entry, Plan
from billing.renewals import renew
from generation import attempts, audit, control, recovery, services
from generation.engines.base import EngineError
from generation.errors import AlreadyEnded
from generation.models import Job
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from tests.generation.crowd import tenant
from tests.generation.samples import unsaved_clip

LANE = Lane("zoetrope", "paid")
MONTHLY = 20
ENDED = {"succeeded", "failed", "cancelled"}
ENDS = ["month", "years", "never"]
"""When credits expire: with the month, years from now, or not at all. The first are spent first."""


@dataclass
class Lot:
    """Credits of one grant or purchase, as the model has them."""

    credits: int
    ends: str
    """Of the `ENDS`."""
    expired: bool = False


@dataclass
class Purse:
    """What a workspace has, by rules that fit on a page."""

    lots: dict[UUID, Lot] = field(default_factory=dict)
    holds: dict[UUID, list[tuple[UUID, int]]] = field(default_factory=dict)
    paid: int = 0
    renewed: bool = False

    @property
    def available(self) -> int:
        return sum(lot.credits for lot in self.lots.values() if not lot.expired)

    @property
    def held(self) -> int:
        return sum(amount for parts in self.holds.values() for _, amount in parts)

    def draw(self, amount: int) -> list[tuple[UUID, int]]:
        """Those that expire first, and of those the oldest: lots are kept in the order of their making."""
        parts = []
        for name, lot in sorted(self.lots.items(), key=lambda item: ENDS.index(item[1].ends)):
            part = 0 if lot.expired else min(lot.credits, amount)
            if part:
                lot.credits -= part
                amount -= part
                parts.append((name, part))
        assert amount == 0
        return parts

    def settle(self, job: UUID, charge: int) -> None:
        for name, part in self.holds.pop(job, []):
            paid = min(part, charge)
            charge -= paid
            self.paid += paid
            self.lots[name].credits += part - paid


class BooksMachine(RuleBasedStateMachine):
    """`copies` are workers' own copies of jobs, fresh and stale; `references` are those of purchases."""

    jobs = Bundle("jobs")
    copies = Bundle("copies")
    references = Bundle("references")

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.people = [tenant(f"w{number}") for number in range(2)]
        Plan.objects.filter(pk__in=[str(who.workspace.pk) for who in self.people]).update(
            credits_per_month=MONTHLY
        )
        self.purses = {who.workspace.pk: Purse() for who in self.people}
        self.names = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    # --- Credits come and go ---

    @rule(who=st.integers(0, 1), amount=st.integers(1, 30), expires=st.booleans(), adjust=st.booleans())
    def grant(self, who: int, amount: int, expires: bool, adjust: bool) -> None:
        until = timezone.now() + timedelta(days=3650) if expires else None
        enter = grants.adjust if adjust else grants.grant
        assert enter(self.workspace(who), amount, reason="test", expires_at=until)
        self.note_lot(who, amount, "years" if expires else "never")

    @rule(target=references, who=st.integers(0, 1), amount=st.integers(1, 30))
    def purchase(self, who: int, amount: int) -> tuple[int, str, int]:
        self.names += 1
        reference = f"pack {self.names}"
        assert ledger.add(self.workspace(who), amount, Entry.Kind.PURCHASE, reference=reference)
        self.note_lot(who, amount, "never")
        return who, reference, amount

    @rule(bought=references)
    def purchase_again(self, bought: tuple[int, str, int]) -> None:
        who, reference, amount = bought
        assert ledger.add(self.workspace(who), amount, Entry.Kind.PURCHASE, reference=reference) is None

    @rule(bought=references)
    def pay_back(self, bought: tuple[int, str, int]) -> None:
        who, reference, amount = bought
        known = Entry.objects.filter(kind="reversal", reference=reference).exists()
        purse = self.purse(who)
        enough = purse.available >= amount
        try:
            entry = ledger.take(self.workspace(who), amount, Entry.Kind.REVERSAL, reference=reference)
        except LedgerRefusal:
            assert not known
            assert not enough
            return
        assert (entry is None) == known
        if entry is not None:
            purse.draw(amount)

    @rule(who=st.integers(0, 1), amount=st.integers(1, 30))
    def adjust_downwards(self, who: int, amount: int) -> None:
        enough = self.purse(who).available >= amount
        try:
            assert grants.adjust(self.workspace(who), -amount, reason="test")
        except LedgerRefusal:
            assert not enough
        else:
            assert enough
            self.purse(who).draw(amount)

    @rule(who=st.integers(0, 1))
    def renew(self, who: int) -> None:
        purse = self.purse(who)
        assert renew(self.workspace(who), entitlements_of(self.workspace(who))) == (not purse.renewed)
        if not purse.renewed:
            self.note_renewal(who)

    @rule(who=st.integers(0, 1))
    def time_passes(self, who: int) -> None:
        """Everything of the workspace that can expire has expired, also what is held of it."""
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(
                "UPDATE billing_account SET expires_at = now() - interval '1 hour'"
                " WHERE workspace_id = %s AND expires_at IS NOT NULL",
                [self.workspace(who)],
            )
            cursor.execute("SET session_replication_role = DEFAULT")
        for lot in self.purse(who).lots.values():
            lot.expired |= lot.ends != "never"

    @rule(times=st.integers(1, 2))
    def sweep(self, times: int) -> None:
        due = [lot for purse in self.purses.values() for lot in purse.lots.values() if lot.expired and lot.credits]
        assert [expiry.sweep() for _ in range(times)] == [len(due), 0][:times]
        for lot in due:
            lot.credits = 0

    # --- Jobs ---

    @rule(target=jobs, who=st.integers(0, 1), seconds=st.integers(1, 5), times=st.integers(1, 2))
    def submit(self, who: int, seconds: int, times: int) -> object:
        purse, price = self.purse(who), 3 * seconds
        self.names += 1
        wish = JobRequest(model="zoetrope", mode="t2v", tier="paid", seconds=seconds, seed=1)
        coming = 0 if purse.renewed else MONTHLY
        affordable = purse.available + coming >= price
        for _ in range(times):
            try:
                job = services.submit(self.people[who], wish, idempotency_key=str(self.names))
            except InsufficientCredits:
                assert not affordable
                return multiple()
        assert affordable
        if purse.available < price:
            self.note_renewal(who)
        purse.holds[job.pk] = purse.draw(price)
        return job.pk

    @rule(job=jobs, times=st.integers(1, 2))
    def cancel(self, job: UUID, times: int) -> None:
        before = Job.objects.get(pk=job)
        part = floor(round(before.credits * before.progress, 6)) if before.state in Job.HELD else 0
        owner = next(who for who in self.people if who.workspace.pk == before.workspace_id)
        for _ in range(times):
            with contextlib.suppress(AlreadyEnded):
                services.cancel(owner, job)
        self.purses[before.workspace_id].settle(job, part)

    @rule(job=jobs, times=st.integers(1, 2))
    def operator_cancels(self, job: UUID, times: int) -> None:
        for _ in range(times):
            control.cancel(job, "the machine is needed")
        self.note_end(job, 0)

    @rule(target=copies)
    def claim(self) -> object:
        return claim([LANE], Claimant("w", "here/0")) or multiple()

    @rule(copy=copies, progress=st.floats(0, 1))
    def progress(self, copy: Job, progress: float) -> None:
        attempts.note_progress(copy, progress)

    @rule(copy=copies, times=st.integers(1, 2))
    def succeed(self, copy: Job, times: int) -> None:
        clip = unsaved_clip(copy)
        for _ in range(times):
            with contextlib.suppress(attempts.Lost):
                attempts.start_finishing(copy, {}, steps=8)
                attempts.succeed(copy, clip)
                self.note_end(copy.pk, copy.credits)

    @rule(copy=copies, blame=st.sampled_from(["user", "machine", "ours"]), times=st.integers(1, 2))
    def fail(self, copy: Job, blame: str, times: int) -> None:
        for _ in range(times):
            attempts.settle_error(copy, EngineError("broken", "it broke", blame))
        self.note_failure(copy.pk)

    @rule(job=jobs, times=st.integers(1, 2))
    def worker_is_lost(self, job: UUID, times: int) -> None:
        Job.objects.filter(pk=job, state__in=Job.HELD).update(lease_expires_at=Now() - timedelta(seconds=1))
        for _ in range(times):
            recovery.return_lost_jobs()
        self.note_failure(job)

    @rule(job=jobs)
    def deadline_passes(self, job: UUID) -> None:
        Job.objects.filter(pk=job).update(deadline=Now() - timedelta(seconds=1))
        recovery.expire_overdue_jobs()
        self.note_failure(job)

    # --- What must be true ---

    @invariant()
    def the_books_are_right(self) -> None:
        assert list(audit.problems()) == []

    @invariant()
    def they_come_to_what_the_model_says(self) -> None:
        for workspace, purse in self.purses.items():
            found = ledger.balance(workspace)
            assert (found.available, found.held) == (purse.available, purse.held)
            paid = ledger.captured(Job.objects.filter(workspace=workspace).values_list("pk", flat=True))
            assert sum(paid.values()) == purse.paid
            kept = dict(
                Account.objects.filter(workspace_id=workspace, kind="credits").values_list("pk", "balance")
            )
            assert kept == {name: lot.credits for name, lot in purse.lots.items()}

    @invariant()
    def what_is_held_is_of_jobs_that_have_not_ended(self) -> None:
        held = {job for purse in self.purses.values() for job in purse.holds}
        assert held == set(Job.objects.exclude(state__in=ENDED).values_list("pk", flat=True))

    # --- The model ---

    def workspace(self, who: int) -> UUID:
        return self.people[who].workspace.pk

    def purse(self, who: int) -> Purse:
        return self.purses[self.workspace(who)]

    def note_lot(self, who: int, amount: int, ends: str) -> None:
        known = self.purse(who).lots
        accounts = Account.objects.filter(workspace_id=self.workspace(who), kind="credits")
        new = accounts.exclude(pk__in=list(known)).get()
        known[new.pk] = Lot(amount, ends)

    def note_renewal(self, who: int) -> None:
        self.note_lot(who, MONTHLY, "month")
        self.purse(who).renewed = True

    def note_end(self, job: UUID, charge: int) -> None:
        self.purses[Job.objects.get(pk=job).workspace_id].settle(job, charge)

    def note_failure(self, job: UUID) -> None:
        if Job.objects.get(pk=job).state == "failed":
            self.note_end(job, 0)


@pytest.mark.django_db
def test_books() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        BooksMachine,
        settings=settings(
            max_examples=10,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # shrinking a history in a database takes minutes
        ),
    )
