"""What must hold when all is over, from database and storage alone. Each breach is one sentence.

A breach is *lost* (an accepted job that did not come to an end), *doubled* (something happened twice that happens
once), *orphaned* (something is left over that belongs to nobody), *wrong* (anything else).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.db.models import FileField

from assets.models import Asset, Rendition
from generation import audit
from generation.models import Attempt, Flow, Job, JobEvent
from generation.workers import alive_workers
from tests.chaos import clips
from tests.chaos.people import Ledger
from tests.chaos.stories import Breach, Story, stories

Kind, Outcome, State = JobEvent.Kind, Attempt.Outcome, Job.State

NEXT: dict[str, set[str]] = {
    "": {Kind.QUEUED, Kind.SCHEDULED},
    Kind.SCHEDULED: {Kind.QUEUED, Kind.CANCELLED, Kind.FAILED},
    Kind.QUEUED: {Kind.STARTED, Kind.CANCELLED, Kind.FAILED},
    Kind.STARTED: {Kind.FINISHING, Kind.RETURNED, Kind.CANCELLED, Kind.FAILED},
    Kind.FINISHING: {Kind.SUCCEEDED, Kind.RETURNED, Kind.CANCELLED, Kind.FAILED},
    Kind.RETURNED: {Kind.STARTED, Kind.CANCELLED, Kind.FAILED},
    Kind.SUCCEEDED: set(),
    Kind.CANCELLED: set(),
    Kind.FAILED: set(),
}
"""The state diagram of `Job` as a grammar of its events: what may follow on what."""

OVERDUE = timedelta(minutes=2)
"""Longer than anything keeps upkeep from seeing that a deadline has passed."""


def every_breach(ledger: Ledger) -> list[Breach]:
    """Hold the ledger against the database and the storage."""
    told = stories()
    found = [*was_answered(told, ledger), *(b for story in told for rule in RULES for b in rule(story))]
    found += [*clips.breaches(told), *storage(), *lanes(), *workers(), *books()]
    found += [
        Breach("wrong", f"nobody cancelled {story.told}, but it is cancelled")
        for story in told
        if story.job.state == State.CANCELLED and story.job.pk not in ledger.cancelled
    ]
    return sorted(set(found))


def was_answered(told: list[Story], ledger: Ledger) -> Iterator[Breach]:
    """The jobs in the database are those that people were promised, and each is there once."""
    keys = Counter((story.job.workspace_id, story.job.idempotency_key) for story in told)
    ids = {story.job.pk for story in told}
    for key, job_id in ledger.accepted.items():
        if job_id not in ids:
            yield Breach("lost", f"job {job_id} was accepted ({key}), but is not in the database")
    for story in told:
        if story.job.pk not in ledger.accepted.values():
            yield Breach("doubled", f"nobody was told of {story.told}")
    for (_, key), count in keys.items():
        if count > 1:
            yield Breach("doubled", f"the request {key} made {count} jobs")


# --- One job -------------------------------------------------------------------------------------------------


def ended(story: Story) -> Iterator[Breach]:
    """Exactly once, in the state that its last event tells, and nothing of its life is left."""
    job, ends = story.job, [event.kind for event in story.events if event.kind in Job.TERMINAL]
    if job.state not in Job.TERMINAL:
        yield Breach("lost", f"{story.told} has not ended: it is {job.state}")
        return
    if not ends:
        yield Breach("lost", f"{story.told} is {job.state}, but no event says so")
    if len(ends) > 1:
        yield Breach("doubled", f"{story.told} ended {len(ends)} times")
    if ends and ends[-1] != job.state:
        yield Breach("wrong", f"{story.told} is {job.state}")
    if job.ended_at is None:
        yield Breach("wrong", f"{story.told} has no time of its end")
    if job.lease_expires_at is not None:
        yield Breach("orphaned", f"{story.told} has ended, but still has a lease")
    if job.checkpoint:
        yield Breach("orphaned", f"{story.told} has ended, but still names the checkpoint {job.checkpoint}")


def path(story: Story) -> Iterator[Breach]:
    """Its events follow the state diagram; each start is the next attempt, all else is told of that attempt."""
    before, attempt = "", 0
    for event in story.events:
        if event.kind not in NEXT[before]:
            kind: Literal["doubled", "wrong"] = "doubled" if event.kind == before else "wrong"
            yield Breach(kind, f"{story.told}: {event.kind} must not follow on {before or 'nothing'}")
        attempt += event.kind == Kind.STARTED
        if event.attempt != attempt:
            yield Breach("wrong", f"{story.told}: {event.kind} tells of attempt {event.attempt}, not of {attempt}")
        before = event.kind


def attempts(story: Story) -> Iterator[Breach]:
    """Numbered 1 to n, one for each start, all ended, and only the last one in success."""
    numbers = [attempt.number for attempt in story.attempts]
    starts = sum(event.kind == Kind.STARTED for event in story.events)
    if numbers != list(range(1, starts + 1)) or story.job.attempt != starts:
        yield Breach(
            "wrong", f"{story.told}: its attempts are {numbers}, and the job says that it had {story.job.attempt}"
        )
    outcomes = [attempt.outcome for attempt in story.attempts]
    if Outcome.UNDER_WAY in outcomes:
        yield Breach("orphaned", f"{story.told}: an attempt is still under way ({', '.join(outcomes)})")
    successes = [attempt.number for attempt in story.attempts if attempt.outcome == Outcome.SUCCEEDED]
    if len(successes) > 1:
        yield Breach("doubled", f"{story.told}: the attempts {successes} all succeeded")
    if successes != ([story.job.attempt] if story.job.state == State.SUCCEEDED else []):
        yield Breach("wrong", f"{story.told} is {story.job.state}, but its attempts were {', '.join(outcomes)}")
    for attempt in story.attempts:
        if attempt.ended_at is None or attempt.ended_at < attempt.claimed_at:
            yield Breach("wrong", f"{story.told}: attempt {attempt.number} did not end after its beginning")


def end_was_deserved(story: Story) -> Iterator[Breach]:
    """What the prompt dooms has failed; what is sound has succeeded, unless it met the cap by others' faults."""
    job = story.job
    if job.state == State.SUCCEEDED and story.will_fail:
        yield Breach("wrong", f"{story.told} succeeded, though its prompt was {job.prompt!r}")
    if job.state != State.FAILED:
        return
    if not job.error_code or not job.error_message:
        yield Breach("wrong", f"{story.told} failed without a reason")
    cap: int = settings.JOB_MAX_ATTEMPTS
    if job.error_code == "deadline_passed":
        if job.ended_at and job.ended_at < job.deadline:
            yield Breach("wrong", f"{story.told} failed by its deadline {job.deadline - job.ended_at} before it")
        return
    if not story.will_fail and job.failures + 1 < cap:
        yield Breach(
            "wrong",
            f"{story.told} failed before its {cap} attempts: {job.error_code}, {job.error_message}",
        )
    if "fail=user" in job.prompt.split() and job.error_code == "asked_to_fail" and job.failures:
        before = [attempt.error_code for attempt in story.attempts[:-1]]
        if "asked_to_fail" in before:
            yield Breach("doubled", f"{story.told}: a bad request was tried again")


def times_were_kept(story: Story) -> Iterator[Breach]:
    """None was claimed before it may begin, and none succeeded long after its deadline."""
    job = story.job
    if job.not_before and story.attempts and story.attempts[0].claimed_at < job.not_before:
        yield Breach("wrong", f"{story.told} was claimed before its time, {job.not_before}")
    if job.state == State.SUCCEEDED and job.ended_at and job.ended_at > job.deadline + OVERDUE:
        yield Breach("wrong", f"{story.told} succeeded {job.ended_at - job.deadline} after its deadline")


RULES: tuple[Callable[[Story], Iterator[Breach]], ...] = (
    ended, path, attempts, end_was_deserved, times_were_kept,
)  # fmt: skip


# --- Everything else -----------------------------------------------------------------------------------------


def storage() -> Iterator[Breach]:
    """Each file is named by the row of an asset or of a rendition, and each row's files are there."""
    assert isinstance(default_storage, FileSystemStorage)
    root = Path(default_storage.base_location)
    there = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    named = {name for rows in _rows_with_files() for row in rows for name in row if name}
    for name in sorted(there - named):
        what = "checkpoint" if name.startswith("checkpoints/") else "file"
        yield Breach("orphaned", f"no asset names the {what} {name} in the storage")
    for name in sorted(named - there):
        yield Breach("lost", f"the file {name} is not in the storage, but an asset names it")


def _rows_with_files() -> Iterator[Iterable[tuple[str, ...]]]:
    for rows in (Asset.objects.filter(discarded_at=None), Rendition.objects.all()):
        files = [field.name for field in rows.model._meta.concrete_fields if isinstance(field, FileField)]
        yield rows.values_list(*files)


def lanes() -> Iterator[Breach]:
    """The sums by which claims go agree with the jobs: once all have ended, nobody waits or is held back."""
    waiting: Counter[tuple[str, object]] = Counter()
    work: Counter[tuple[str, object]] = Counter()
    for lane, workspace, work_ms in Job.objects.filter(state=State.QUEUED).values_list(
        "lane", "workspace_id", "work_ms"
    ):
        waiting[lane, workspace] += 1
        work[lane, workspace] += work_ms
    in_hand = Counter(Job.objects.filter(state__in=Job.HELD).values_list("workspace_id", flat=True))
    for flow in Flow.objects.all():
        key, whose = (flow.lane, flow.workspace_id), f"workspace {flow.workspace_id} in {flow.lane}"
        if (flow.waiting, flow.waiting_ms) != (waiting[key], work[key]):
            yield Breach(
                "wrong",
                f"{whose} has {waiting[key]} jobs waiting ({work[key]} ms of work), "
                f"but its flow says {flow.waiting} ({flow.waiting_ms} ms)",
            )
        if flow.throttled and not in_hand[flow.workspace_id]:
            yield Breach("orphaned", f"{whose} is held back, though none of its jobs runs")


def books() -> Iterator[Breach]:
    """The ledger is right, and each job has cost what the rule says, once."""
    for sentence in audit.problems():
        yield Breach("wrong", sentence)


def workers() -> Iterator[Breach]:
    """Everybody has gone home: nobody counts as alive, and who was not killed has said that it stopped."""
    for worker in alive_workers():
        yield Breach("orphaned", f"worker {worker.name} counts as alive and reads {worker.state}")
