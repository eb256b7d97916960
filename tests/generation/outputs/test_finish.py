"""The finish stage: a clip that is published whole, or nothing at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import OperationalError
from PIL import Image

from assets.models import Asset
from generation import attempts, services
from generation.engines.base import EngineError
from generation.engines.frames import FrameRing
from generation.models import Job
from generation.outputs.encoding import MASTER, check
from generation.outputs.finish import make_clip
from generation.outputs.orders import form_of, source_of
from generation.outputs.quality.check import Check
from generation.scheduling.claims import Claimant, claim
from generation.worker.leases import Hold
from generation.worker.stream import Abandoned, FrameStream, Made
from mutoscope.accounts.selectors import Access
from tests.generation.outputs.encoding.test_sound import tone
from tests.generation.samples import PAID, expire, kinds, running, submit

FILES = ["clip.mp4", "poster.jpg", "preview.webp", "strip.webp", "thumbnail.webp"]


@pytest.fixture
def finish(access: Access, tmp_path: Path) -> Iterator[Callable[[Callable[[Job], None]], Job]]:
    """Has a job's frames made and finished, with something happening in between. Gives the worker's job."""
    rings: list[FrameRing] = []

    def run(meanwhile: Callable[[Job], None], sound: Path | None = None, **wishes: Any) -> Job:
        submit(access, **wishes)
        job = claim([PAID], Claimant("w1"))
        assert job is not None
        hold = Hold(job, time.monotonic())
        rings.append(ring := FrameRing.create(job.width, job.height, job.frames))
        stream = FrameStream(ring, job.frames, on_taken=lambda _: None)
        for index in range(job.frames):
            ring.slot(index)[:] = bytes([index * 8]) * ring.frame_bytes
        stream.written(job.frames)
        meanwhile(job)
        stream.complete(Made({}, 8, time.monotonic(), sound))
        make_clip(hold, stream, tmp_path)
        return job

    yield run
    for ring in rings:
        ring.close()


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the storage run full in the middle of a file, so many times."""
    save = FileSystemStorage._save
    left = [0]

    def run_full(storage: FileSystemStorage, name: str, content: Any) -> str:
        kept = save(storage, name, content)
        if left[0]:
            left[0] -= 1
            os.truncate(storage.path(kept), 1)
            raise OSError(28, "No space left on device")
        return kept

    monkeypatch.setattr(FileSystemStorage, "_save", run_full)
    return lambda times: left.__setitem__(0, times)


def stored() -> list[Path]:
    return [path for path in Path(default_storage.path("")).rglob("*") if path.is_file()]


def test_a_clip_is_published_with_its_poster_and_its_facts(finish: Callable[..., Job]) -> None:
    job = finish(lambda _: None)
    job.refresh_from_db()
    assert job.state == Job.State.SUCCEEDED
    clip = job.output
    assert clip is not None
    assert (clip.kind, clip.width, clip.height, clip.seconds, clip.fps) == ("video", 64, 64, 1.0, 8)
    assert clip.size_bytes == clip.file.size
    # The middle one of 8 frames is 32 of 255 bright, its mark and what encoding loses aside.
    assert all(abs(int(clip.color[at : at + 2], 16) - 32) <= 3 for at in (1, 3, 5))
    assert sorted(path.name for path in stored()) == FILES
    assert Image.open(clip.poster.path).size == (64, 64)
    assert Image.open(clip.strip.path).size == (64 * clip.strip_tiles, 64)
    assert clip.strip_tiles == 8


def test_a_form_that_is_no_master_has_one_beside_it(finish: Callable[..., Job], tmp_path: Path) -> None:
    job = finish(lambda _: None, sound=tone(tmp_path / "tone.wav", 1.0), format="gif", loop="boomerang")
    job.refresh_from_db()
    clip = job.output
    assert clip is not None
    assert (clip.media_type, clip.name.rpartition(".")[2]) == ("image/gif", "gif")
    assert (clip.width, clip.height, clip.fps, clip.seconds) == (64, 64, 8, 14 / 8)
    check(Path(clip.file.path), source_of(job), form_of(job), with_sound=True)
    check(Path(clip.master.path), source_of(job), MASTER, with_sound=True)
    assert sorted(path.name for path in stored()) == sorted([*FILES[1:], "clip.gif", "master.mp4"])


def test_a_clip_has_its_sound(finish: Callable[..., Job], tmp_path: Path) -> None:
    job = finish(lambda _: None, sound=tone(tmp_path / "tone.wav", 1.0), format="webm", quality="best")
    job.refresh_from_db()
    assert job.output is not None
    check(Path(job.output.file.path), source_of(job), form_of(job), with_sound=True)
    assert job.output.media_type == "video/webm"


@pytest.mark.parametrize("ending", ["cancelled", "lease ran out"])
def test_an_attempt_that_lost_its_job_leaves_nothing(
    finish: Callable[..., Job], access: Access, ending: str
) -> None:
    def lose(job: Job) -> None:
        if ending == "cancelled":
            services.cancel(access, job.pk)
        else:
            expire(job)

    with pytest.raises(attempts.Lost):
        finish(lose)
    assert stored() == []
    assert not Asset.objects.filter(kind="video").exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_that_breaks_while_publishing_costs_and_doubles_nothing(
    finish: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    succeed, calls = attempts.succeed, []

    def cut_off_at_first(job: Job, clip: Asset, check: Check) -> None:
        calls.append(clip.pk)
        if committed or len(calls) > 1:
            succeed(job, clip, check)
        if len(calls) == 1:
            raise OperationalError("the connection was lost while it was committing")

    monkeypatch.setattr(attempts, "succeed", cut_off_at_first)
    job = finish(lambda _: None)
    clip = Asset.objects.get(kind="video")
    assert (len(calls), clip.made_by, clip.made_by.state) == (2, job, "succeeded")
    assert job.attempts.get().clip_id == clip.pk
    assert kinds(job).count("succeeded") == 1
    assert len(stored()) == len(FILES)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_clip_whose_publication_may_have_happened_keeps_its_files(
    finish: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    succeed = attempts.succeed

    def committed_and_cut_off(job: Job, clip: Asset, check: Check) -> None:
        succeed(job, clip, check)
        raise OperationalError("the connection was lost while it was committing")

    monkeypatch.setattr(attempts, "succeed", committed_and_cut_off)
    settings.JOB_LEASE = timedelta(seconds=6)  # so long it is tried again, and the clip must be made by then
    with pytest.raises(OperationalError):
        finish(lambda _: None)
    clip = Asset.objects.get(kind="video")
    assert Path(clip.file.path) in stored()
    assert clip.made_by.state == Job.State.SUCCEEDED


def test_a_storage_that_refuses_for_a_while_gets_the_clip_in_the_end(
    finish: Callable[..., Job], refusing: Callable[[int], None]
) -> None:
    refusing(2)
    job = finish(lambda _: None)
    clip = Asset.objects.get(kind="video")
    assert sorted(path.name for path in stored()) == FILES
    assert clip.file.size == clip.size_bytes
    assert clip.made_by == job


def test_what_a_storage_kept_of_the_tries_before_is_gone_when_one_succeeds(
    finish: Callable[..., Job], refusing: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is full, and does not let go of anything either: first of the file, then twice of its beginning."""
    delete, refusals = FileSystemStorage.delete, [True, True]

    def refuse_to_delete(storage: FileSystemStorage, name: str) -> None:
        if refusals:
            refusals.pop()
            raise OSError(30, "Read-only file system")
        delete(storage, name)

    refusing(1)
    monkeypatch.setattr(FileSystemStorage, "delete", refuse_to_delete)
    finish(lambda _: None)
    assert not refusals
    assert sorted(path.name for path in stored()) == FILES


def test_a_storage_that_refuses_for_good_is_the_machines_fault(
    finish: Callable[..., Job], refusing: Callable[[int], None], settings: Any
) -> None:
    settings.STORAGE_PATIENCE = timedelta(seconds=0.5)
    refusing(100)
    with pytest.raises(EngineError) as caught:
        finish(lambda _: None)
    assert (caught.value.code, caught.value.blame) == ("storage_failed", "machine")
    assert stored() == []


def test_frames_that_the_engine_has_abandoned_are_not_stored(access: Access, tmp_path: Path) -> None:
    job = running(access)
    ring = FrameRing.create(job.width, job.height, job.frames)
    stream = FrameStream(ring, job.frames, on_taken=lambda _: None)
    stream.written(3)
    stream.abandon()
    with pytest.raises(Abandoned):
        make_clip(Hold(job, time.monotonic()), stream, tmp_path)
    ring.close()
    assert stored() == []


def test_a_clip_that_is_not_what_was_asked_for_is_refused(finish: Callable[..., Job], access: Access) -> None:
    job = finish(lambda _: None)
    job.refresh_from_db()
    assert job.output is not None
    path = Path(job.output.file.path)
    source, form = source_of(job), form_of(job)
    with pytest.raises(EngineError, match=r"must be .*frames=9.*, but is .*frames=8"):
        check(path, replace(source, frames=9), form, with_sound=False)
    with pytest.raises(EngineError, match=r"must be .*sound='aac'.*, but is .*sound=None"):
        check(path, source, form, with_sound=True)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(EngineError) as caught:
        check(path, source, form, with_sound=False)
    assert (caught.value.code, caught.value.blame) == ("clip_broken", "ours")
