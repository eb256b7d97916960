"""A real worker process on real tickets: from a queued job to a clip, whatever happens in between."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from PIL import Image

from assets.models import Asset
from assets.services import upload
from generation import services
from generation.models import Attempt, Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from mutoscope.media import ffmpeg_executable, frame_as_png, is_faststart, probe
from tests.conftest import RunManage, picture_file, wait_for, wait_for_state
from tests.generation.outputs.test_orders import sound_file

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def submit(access: Access, picture: Asset, prompt: str = "", **wishes: object) -> Job:
    return services.submit(access, JobRequest(model="still", picture=picture.pk, prompt=prompt, **wishes))  # type: ignore[arg-type]


def test_a_job_becomes_a_clip(access: Access, picture: Asset, manage: RunManage) -> None:
    job = submit(access, picture, seed=5)
    with manage("worker", "--model", "still"):
        wait_for_state(job, "succeeded")
    assert job.output is not None
    media = probe(job.output.file.path, strict=True)
    assert media.video is not None
    assert (media.video.codec, media.video.width, media.video.height, media.video.frames) == (
        "h264",
        64,
        64,
        8,
    )
    assert is_faststart(job.output.file.path)
    assert list(job.events.values_list("kind", flat=True)) == ["queued", "started", "finishing", "succeeded"]
    attempt = job.attempts.get()
    assert attempt.outcome == Attempt.Outcome.SUCCEEDED
    assert attempt.claimed_at <= attempt.engine_started_at <= attempt.engine_ended_at <= attempt.ended_at  # type: ignore[operator]
    assert (job.recipe["engine"], job.recipe["seed"]) == ("still", 5)


def test_a_clip_reaches_the_picture_it_is_to_end_on(access: Access, picture: Asset, manage: RunManage) -> None:
    last = upload(access, picture_file(80, 80))
    wishes = JobRequest(
        model="zoetrope", mode="flf2v", picture=picture.pk, last_picture=last.pk, preset="draft", seconds=2
    )
    job = services.submit(access, wishes)
    with manage("worker", "--model", "zoetrope"):
        wait_for_state(job, "succeeded")
    assert job.output is not None
    video = probe(job.output.file.path, strict=True).video
    assert video is not None
    assert (video.width, video.height, video.frames) == (96, 72, 17)  # 16 were asked for
    with Image.open(last.file.path) as image:
        due = hashlib.sha256(image.tobytes()).digest()[:3]
    png = frame_as_png(Path(job.output.file.path), at=16 / 8, max_side=96)
    shown = Image.open(io.BytesIO(png)).convert("RGB").getpixel((48, 36))
    assert isinstance(shown, tuple)
    assert all(abs(a - b) <= 6 for a, b in zip(shown, due, strict=True)), (shown, tuple(due))


def sound_of(clip: Asset) -> bytes:
    """The digest of its sound as it is stored."""
    copied = ["-map", "0:a", "-c", "copy", "-f", "md5", "-"]
    command = [ffmpeg_executable(), "-v", "error", "-i", clip.file.path, *copied]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_a_clip_keeps_its_sound(access: Access, picture: Asset, manage: RunManage) -> None:
    loud, again = (submit(access, picture, "sound", seed=5) for _ in range(2))
    silent = submit(access, picture, seed=5)
    with manage("worker", "--model", "still"):
        for job in (loud, silent, again):
            wait_for_state(job, "succeeded")
    assert loud.output is not None
    assert silent.output is not None
    assert again.output is not None
    media = probe(loud.output.file.path, strict=True)
    assert media.video is not None
    assert media.audio is not None
    assert (media.video.frames, media.audio.codec, media.audio.sample_rate, media.audio.channels) == (
        8,
        "aac",
        16_000,
        2,
    )
    assert is_faststart(loud.output.file.path)
    assert probe(silent.output.file.path).audio is None
    assert sound_of(again.output) == sound_of(loud.output)
    assert again.recipe["frames_sha256"] == loud.recipe["frames_sha256"] == silent.recipe["frames_sha256"]


def test_a_sound_that_a_job_brings_goes_over_the_models_own(
    access: Access, picture: Asset, manage: RunManage
) -> None:
    brought = upload(access, sound_file())
    job = submit(access, picture, "sound", seed=5, sound=brought.pk)
    with manage("worker", "--model", "still"):
        wait_for_state(job, "succeeded")
    assert job.output is not None
    audio = probe(job.output.file.path, strict=True).audio
    assert audio is not None
    assert (audio.codec, audio.sample_rate, audio.channels) == ("aac", 8000, 1)


def test_cancelling_frees_the_engine_within_a_step(access: Access, picture: Asset, manage: RunManage) -> None:
    slow = submit(access, picture, "pause=0.3", steps=1000)
    with manage("worker", "--model", "still"):
        wait_for_state(slow, "running")
        wait_for(lambda: slow.attempts.get().engine_started_at, what="the engine's start")
        services.cancel(access, slow.pk)
        after = submit(access, picture)
        wait_for_state(after, "succeeded", seconds=10)
    slow.refresh_from_db()
    assert (slow.state, slow.output, slow.error_code) == ("cancelled", None, "")
    assert slow.attempts.get().outcome == Attempt.Outcome.CANCELLED
    freed = after.attempts.get().claimed_at - slow.ended_at  # type: ignore[operator]
    assert freed.total_seconds() < 2  # a look at the database, a step of 0.3 s, a claim


def test_a_killed_worker_loses_no_job_and_doubles_no_clip(
    access: Access, picture: Asset, manage: RunManage
) -> None:
    job = submit(access, picture, "pause=0.2", steps=10)
    with manage("upkeep"):
        with manage("worker", "--model", "still") as first:
            wait_for(lambda: Job.objects.filter(pk=job.pk, state="running").exists())
            wait_for(lambda: job.attempts.get().engine_started_at, what="the engine's start")
            engine = psutil.Process(first.pid).children(recursive=True)
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        gone, alive = psutil.wait_procs(engine, timeout=5)
        assert gone
        assert not alive, "the engine outlived its killed worker"
        with manage("worker", "--model", "still"):
            wait_for_state(job, "succeeded")
    assert [(a.number, a.outcome) for a in job.attempts.all()] == [(1, "lost"), (2, "succeeded")]
    assert Asset.objects.filter(kind="video").count() == 1


@pytest.mark.parametrize(
    ("prompt", "code", "attempts"),
    [
        ("fail=user", "asked_to_fail", 1),
        ("fail=machine", "asked_to_fail", 3),
        ("crash", "engine_died", 3),
        ("hang", "engine_stalled", 3),
        ("short", "frames_missing", 3),
    ],
)
def test_errors_end_the_job_and_leave_the_next_one_untouched(
    access: Access, picture: Asset, manage: RunManage, prompt: str, code: str, attempts: int
) -> None:
    bad = submit(access, picture, prompt)
    good = submit(access, picture)
    with manage("worker", "--model", "still"):
        wait_for_state(bad, "failed", seconds=40)
        wait_for_state(good, "succeeded")
    assert (bad.error_code, bad.attempt, bad.output) == (code, attempts, None)
    assert bad.error_message


def test_a_worker_that_hears_of_no_ticket_looks_for_itself(
    access: Access, picture: Asset, manage: RunManage, settings: Any
) -> None:
    job = submit(access, picture)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()  # and no upkeep makes it again
    with manage("worker", "--model", "still"):
        wait_for_state(job, "succeeded")


def test_an_unknown_lane_is_an_error(manage: RunManage) -> None:
    with manage("worker", "--model", "still", "--lanes", "paid,gold") as worker:
        assert worker.wait(20) != 0


def test_sigterm_finishes_the_job_in_hand(access: Access, picture: Asset, manage: RunManage) -> None:
    job = submit(access, picture, "pause=0.1", steps=10)
    with manage("worker", "--model", "still") as worker:
        wait_for_state(job, "running")
        # One that the engine has not begun would be given back.
        wait_for(lambda: job.attempts.get().engine_started_at, what="the engine's start")
        worker.terminate()
        assert worker.wait(20) == 0
    job.refresh_from_db()
    assert job.state == "succeeded"
