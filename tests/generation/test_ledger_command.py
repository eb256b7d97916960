"""`manage.py ledger`: it finds each way in which the books can be wrong, and enters what operators ask for."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from billing import ledger
from billing.audit import Check, problems
from billing.models import Account, Entry
from generation import attempts, audit, control, services
from generation.models import Job
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from tests.generation.samples import unsaved_clip
from tests.generation.test_settlement import PRICE, claimed, finishing, running, submit


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("ledger", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def job(access: Access) -> Job:
    """A success; beside it one of each other end, one that waits, and credits that expire."""
    services.cancel(access, running(access, 0.3).pk)
    for made in (running, finishing):
        services.cancel(access, made(access).pk)
        attempts.fail(made(access), "bad", "it was bad")
        assert control.cancel(made(access).pk, "enough")
    done = finishing(access)
    attempts.succeed(done, unsaved_clip(done))
    submit(access)
    claimed()
    submit(access)
    done.refresh_from_db()
    return done


def test_books_that_are_right(job: Job) -> None:
    found = run("verify")
    assert "the books are right" in found
    assert f"{len(audit.EVERY_CHECK)} rules" in found
    assert f"{Entry.objects.count():,} entries" in found


# --- Books that are wrong ---


def by_force(*statements: str, **values: object) -> None:
    """Change what the rules of the database let nobody change; the test's transaction takes it back."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET session_replication_role = replica")  # no triggers
        for statement in statements:
            cursor.execute(statement, values)
        cursor.execute("SET session_replication_role = DEFAULT")


def forget(job: Job, kind: str) -> None:
    by_force(
        "DELETE FROM billing_transfer USING billing_entry AS entry WHERE entry_id = entry.id"
        " AND entry.job_id = %(job)s AND entry.kind = %(kind)s",
        "DELETE FROM billing_entry WHERE job_id = %(job)s AND kind = %(kind)s",
        job=job.pk, kind=kind,
    )  # fmt: skip


def a_balance_too_high(job: Job) -> None:
    by_force("UPDATE billing_account SET balance = balance + 5 WHERE kind = 'credits'")


def a_transfer_of_another_amount(job: Job) -> None:
    by_force("UPDATE billing_transfer SET amount = amount + 1 WHERE id = (SELECT min(id) FROM billing_transfer)")


def a_balance_below_zero(job: Job) -> None:
    by_force(
        "ALTER TABLE billing_account DROP CONSTRAINT account_not_below_zero",
        "UPDATE billing_account SET balance = -1 WHERE kind = 'credits'",
    )


def an_entry_of_nothing(job: Job) -> None:
    Entry.objects.create(kind="grant", workspace_id=job.workspace_id)


def a_grant_called_a_purchase(job: Job) -> None:
    by_force("UPDATE billing_entry SET kind = 'purchase' WHERE kind = 'renewal'")


def an_entry_of_another_workspace(job: Job) -> None:
    by_force("UPDATE billing_entry SET workspace_id = %(other)s WHERE kind = 'renewal'", other=uuid4())


def a_payment_without_a_hold(job: Job) -> None:
    forget(job, "hold")


def half_a_payment(job: Job) -> None:
    by_force(
        "UPDATE billing_transfer SET amount = amount / 2 FROM billing_entry AS entry"
        " WHERE entry.id = entry_id AND entry.job_id = %(job)s AND entry.kind = 'capture'",
        job=job.pk,
    )


def a_release_into_another_account(job: Job) -> None:
    other = Account.objects.create(kind="credits", workspace_id=job.workspace_id)
    by_force(
        "UPDATE billing_transfer SET target_id = %(other)s FROM billing_entry AS entry"
        " WHERE entry.id = entry_id AND entry.kind = 'release'",
        other=other.pk,
    )


def credits_long_expired(job: Job) -> None:
    by_force(
        "UPDATE billing_account SET expires_at = now() - interval '2 days' WHERE kind = 'credits'",
        "UPDATE billing_entry SET at = now() - interval '2 days'",
    )


def a_hold_left_open(job: Job) -> None:
    forget(job, "capture")


def a_hold_closed_too_early(job: Job) -> None:
    ledger.settle(Job.objects.get(state="running").pk, PRICE)


def a_job_that_is_gone(job: Job) -> None:
    Job.objects.filter(state="queued").delete()


def another_price(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(credits=PRICE + 1)


def a_failure_that_was_paid(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(state="failed", output=None)


def a_cancel_that_cost_too_little(job: Job) -> None:
    Job.objects.filter(state="cancelled", error_code="", progress=0.3).update(progress=0.9)


def an_operators_cancel_that_was_paid(job: Job) -> None:
    Job.objects.filter(state="cancelled", error_code="").update(error_code="cancelled_by_operator")


WRONG: dict[str, list[Callable[[Job], None]]] = {
    "The sum over all accounts is zero.": [a_balance_too_high],
    "Each balance that is kept is the sum of its transfers.": [a_balance_too_high, a_transfer_of_another_amount],
    "No balance is below zero.": [a_balance_below_zero],
    "Each entry moves credits.": [an_entry_of_nothing],
    "Each entry moves credits the way of its kind.": [a_grant_called_a_purchase],
    "Each entry moves its own workspace's credits.": [an_entry_of_another_workspace],
    "Nothing is paid or given back that was not held.": [a_payment_without_a_hold],
    "What is paid and what is given back come to what was held.": [half_a_payment],
    "What is given back goes where it came from.": [a_release_into_another_account],
    "What has expired is taken away within a day.": [credits_long_expired],
    "A hold is closed when its job has ended, and not before.": [a_hold_left_open, a_hold_closed_too_early],
    "No hold is left open by a job that is gone.": [a_job_that_is_gone],
    "What is held is the price at which the job was accepted.": [another_price, a_payment_without_a_hold],
    "A success costs its price, a failure nothing.": [a_failure_that_was_paid, half_a_payment],
    "A cancelled job costs the part that ran where its user cancelled it, and else nothing.": [
        a_cancel_that_cost_too_little, an_operators_cancel_that_was_paid,
    ],
}  # fmt: skip


@pytest.mark.parametrize("check", audit.EVERY_CHECK, ids=lambda check: check.rule)
def test_each_way_to_be_wrong_is_found(job: Job, check: Check) -> None:
    for tamper in WRONG[check.rule]:
        with transaction.atomic():
            assert list(problems([check])) == []
            tamper(job)
            found = list(problems([check]))
            assert found, tamper
            out = StringIO()
            with pytest.raises(CommandError, match="problem"):
                call_command("ledger", "verify", stdout=out)
            assert found[0] in out.getvalue()
            transaction.set_rollback(True)


def test_a_problem_is_told_with_its_ids(job: Job) -> None:
    forget(job, "capture")
    sentence = f"job {job.pk} of workspace {job.workspace_id} is succeeded, but its hold of 12 credits is open"
    with pytest.raises(CommandError, match=r"^\d+ problems?$"):
        run("verify")
    assert sentence in list(audit.problems())


# --- By hand ---


def test_granting_and_adjusting(workspace: Workspace) -> None:
    assert "Alice & Co has 50 credits" in run("grant", "Alice & Co", "50", "--reason", "for the outage")
    assert "has 45 credits" in run("adjust", str(workspace.pk), "-5", "--reason", "too many")
    entry = Entry.objects.get(kind="grant")
    assert (entry.reason, entry.made_by_name) == ("for the outage", "")


def test_showing(job: Job, workspace: Workspace) -> None:
    run("grant", "Alice & Co", "1000", "--reason", "for the outage", "--until", "2099-03-31")
    found = run("show", "Alice & Co")
    balance = ledger.balance(workspace.pk)
    assert f"{balance.available:,} credits available, {balance.held:,} held" in found
    assert "1,000  until 2099-04-01 00:00 UTC" in found
    assert f"job {job.pk}" in found
    assert "for the outage" in found


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "nobody"), "no workspace is called 'nobody'"),
        (("grant", "Alice & Co", "0", "--reason", "x"), "must be above 0, but are 0"),
        (("grant", "Alice & Co", "5", "--reason", " "), "must say why"),
        (("grant", "Alice & Co", "5", "--reason", "x", "--until", "tomorrow"), "must be a day such as"),
        (("grant", "Alice & Co", "5", "--reason", "x", "--until", "2026-02-30"), "must be a day such as"),
        (("grant", "Alice & Co", "5", "--reason", "x", "--until", "2020-01-01"), "must lie after"),
        (("adjust", "Alice & Co", "-5", "--reason", "x"), "only 0 are there"),
    ],
)
def test_what_is_refused(workspace: Workspace, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run(*arguments)
    assert not Entry.objects.exists()


def test_a_name_that_two_have_is_no_name(workspace: Workspace) -> None:
    Workspace.objects.create(name=workspace.name)
    with pytest.raises(CommandError, match="more than one workspace is called"):
        run("show", workspace.name)
