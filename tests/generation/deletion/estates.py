"""A workspace with everything in it that a workspace can have, all of it with words that must not survive."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from allauth.account.models import EmailAddress
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from assets.models import Asset, Rendition, Upload, folder_of
from assets.services import upload
from billing import ledger
from billing.models import Entry, Payment, PlanOverride, UsageWarning
from generation import attempts, services
from generation.models import ClipCheck, Job, Review, VisibleMark
from generation.retention import checkpoint_folder
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import create_api_key
from tests.conftest import picture_file
from tests.generation.samples import unsaved_clip

PAID = Lane("zoetrope", "paid")
SECRET = "zanzibar"
"""A word that stands in everything that people typed, named or uploaded."""


def furnish(access: Access) -> Job:
    """Fill the workspace. Returns a job that runs; another waits, and a third has made a clip."""
    workspace, user = access.workspace, access.user
    assert user is not None
    ledger.add(workspace.pk, 100, Entry.Kind.GRANT, reference=str(uuid4()))
    picture = upload(access, picture_file(name=f"{SECRET}.png"))
    Asset.objects.filter(pk=picture.pk).update(portrait={"person": SECRET}, moderation={"seen": SECRET})
    key, _ = create_api_key(workspace, name=f"{SECRET} import", scopes=["jobs:read"], created_by=user)
    by_key = Access(workspace=workspace, scopes=frozenset(), key=key)
    done = _submit(access, picture)
    held = claim([PAID], Claimant("w1"))
    assert held is not None
    attempts.start_finishing(held, {"prompt": f"{SECRET} walks"}, steps=8)
    clip = unsaved_clip(held)
    clip.name = f"{SECRET}-still.mp4"
    attempts.succeed(held, clip)
    for name in ("master.mp4", "poster.jpg", "rendition.webm"):
        default_storage.save(f"{folder_of(workspace.pk, clip.pk)}/{name}", ContentFile(b"x"))
    Rendition.objects.create(asset=clip, format="webm", quality="standard", error=SECRET)
    ClipCheck.objects.create(job=done, attempt=1, asset=clip, seed=1, verdict="good", checked_at=timezone.now())
    running = _submit(by_key, picture)
    assert claim([PAID], Claimant("w2")) is not None
    checkpoint = default_storage.save(f"{checkpoint_folder(running.pk)}/1-4", ContentFile(b"latents"))
    Job.objects.filter(pk=running.pk).update(checkpoint=checkpoint, progress=0.5)
    _submit(access, picture)
    _rest(access, picture)
    return running


def _submit(access: Access, picture: Asset) -> Job:
    request = JobRequest(
        model="zoetrope", picture=picture.pk, prompt=f"{SECRET} walks", negative_prompt=f"no {SECRET}"
    )
    return services.submit(access, request, idempotency_key=f"{SECRET}-{uuid4()}")


def _rest(access: Access, picture: Asset) -> None:
    workspace, user = access.workspace, access.user
    assert user is not None
    in_a_day = timezone.now() + timedelta(days=1)
    PlanOverride.objects.create(
        workspace=workspace, limit="tiers", value=["paid"], reason=SECRET, made_by=user, ends_at=in_a_day
    )
    UsageWarning.objects.create(workspace=workspace, limit="storage_mib", period="2026-11", percent=80)
    mark = VisibleMark(workspace=workspace, text=SECRET)
    mark.picture.save("mark.png", ContentFile(b"png"))
    Review.objects.create(
        workspace=workspace, created_by=user, kind="prompt", digest="0" * 64, text=SECRET, picture=picture,
        moderator="rules",
    )  # fmt: skip
    sent = Upload.objects.create(
        workspace=workspace, created_by=user, name=f"{SECRET}.mov", size_bytes=9, part_bytes=9, expires_at=in_a_day
    )
    default_storage.save(f"uploads/{sent.pk}/1", ContentFile(b"part"))
    Payment.objects.create(
        workspace_id=workspace.pk, provider="manual", provider_id=str(uuid4()), kind="pack", state="paid",
        description="500 credits", amount_cents=600, currency="usd", created_at=timezone.now(),
        receipt_url=f"https://pay.example/{SECRET}",
    )  # fmt: skip
    EmailAddress.objects.create(user=user, email=f"{SECRET}@example.org")
    for row in (user, workspace, picture):
        LogEntry.objects.create(
            user=User.objects.get_or_create(email="op@example.com")[0],
            content_type=ContentType.objects.get_for_model(type(row)),
            object_id=str(row.pk), object_repr=str(row), action_flag=CHANGE, change_message=f"{row} {SECRET}",
        )  # fmt: skip


def tables_that_say(*words: str) -> set[tuple[str, str]]:
    """Every table of the database in which a row has one of the words in any column, with the word."""
    found = set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            for word in words:
                cursor.execute(f'SELECT count(*) FROM "{table}" AS line WHERE line::text ILIKE %s', [f"%{word}%"])  # noqa: S608
                if cursor.fetchone()[0]:
                    found.add((table, word))
    return found
