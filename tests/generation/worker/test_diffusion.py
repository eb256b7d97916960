"""A real diffusion model, tiny and with random weights, through the real platform: from the API to an MP4."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from diffusers import LTXConditionPipeline
from django.core.files.base import ContentFile
from rest_framework.test import APIClient

from assets.models import Asset
from generation import adapter_registry, services
from generation.adapters import AdapterWish
from generation.models import Adapter, Attempt, Job, Worker
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from mutoscope.media import is_faststart, probe
from tests.conftest import RunManage, wait_for, wait_for_state
from tests.tiny import lora, weights

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]

LOADED = 180
"""Seconds in which a worker on a busy machine has loaded torch and the model, and made a clip."""


@pytest.fixture(autouse=True)
def _weights(settings: Any) -> None:
    weights("tiny-ltx")
    settings.OFFERED_MODELS = ["tiny-ltx"]  # jobs are submitted before its first worker stands ready


def submit(access: Access, picture: Asset, **wishes: object) -> Job:
    wishes = {"picture": picture.pk, "prompt": "a cat turns its head", **wishes}
    return services.submit(access, JobRequest(model="tiny-ltx", **wishes))  # type: ignore[arg-type]


def test_from_the_api_to_an_mp4(api: APIClient, picture: Asset, manage: RunManage) -> None:
    with manage("worker", "--model", "tiny-ltx") as worker:
        wait_for(Worker.objects.filter(state="idle").exists, seconds=LOADED, what="a worker that is warm")
        wishes = {"model": "tiny-ltx", "picture": str(picture.pk), "prompt": "a cat turns its head", "seed": 5}
        answer = api.post("/api/v1/jobs", wishes, format="json")
        assert answer.status_code == 201, answer.content
        job = Job.objects.get(pk=answer.json()["id"])
        wait_for_state(job, "succeeded", seconds=LOADED)
        parent = psutil.Process(worker.pid)
        torch_in = [
            process.pid
            for process in (parent, *parent.children(recursive=True))
            if any("libtorch" in mapped.path for mapped in process.memory_maps())
        ]
    assert parent.pid not in torch_in, "a worker's parent must not pay for torch"
    assert torch_in, "the engine's process is the one that has it"
    assert job.output is not None
    media = probe(job.output.file.path, strict=True)
    assert media.video is not None
    # The engine makes 64 × 64 and 9 frames; what was asked for is 64 × 48 for a second.
    assert (job.engine_width, job.engine_height, job.engine_frames) == (64, 64, 9)
    assert (media.video.width, media.video.height, media.video.frames) == (64, 48, 8)
    assert is_faststart(job.output.file.path)
    assert (job.recipe["engine"], job.recipe["seed"], job.recipe["memory_plan"]) == ("ltx", 5, "full")
    attempt = job.attempts.get()
    assert (attempt.memory_plan, attempt.precision, attempt.steps) == ("full", "fp32", 8)


def test_a_job_that_needs_a_lighter_memory_plan_gets_it(access: Access, picture: Asset, manage: RunManage) -> None:
    lighter, usual = (submit(access, picture, seed=5) for _ in range(2))
    Job.objects.filter(pk=lighter.pk).update(memory_plan="offload")  # as after running out of memory
    with manage("worker", "--model", "tiny-ltx"):
        wait_for_state(lighter, "succeeded", seconds=LOADED)
        wait_for_state(usual, "succeeded", seconds=LOADED)
    assert [job.recipe["memory_plan"] for job in (lighter, usual)] == ["offload", "full"]
    assert [job.attempts.get().memory_plan for job in (lighter, usual)] == ["offload", "full"]
    assert lighter.output is not None
    assert usual.output is not None
    same = lighter.recipe["frames_sha256"] == usual.recipe["frames_sha256"]
    assert same, "streaming blocks must not change the picture"


def test_killed_in_mid_denoise_it_goes_on_to_the_same_clip(
    access: Access, picture: Asset, manage: RunManage
) -> None:
    whole, broken = (submit(access, picture, seed=5, steps=120) for _ in range(2))
    with manage("upkeep"):
        with manage("worker", "--model", "tiny-ltx", CHECKPOINT_INTERVAL_SECONDS="0.5") as first:
            wait_for_state(whole, "succeeded", seconds=LOADED)
            kept = Job.objects.filter(pk=broken.pk, state="running", checkpoint_step__gt=0)
            wait_for(kept.exists, seconds=LOADED, what="a checkpoint")
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        with manage("worker", "--model", "tiny-ltx"):
            wait_for_state(broken, "succeeded", seconds=LOADED)
    assert [a.outcome for a in broken.attempts.all()] == [Attempt.Outcome.LOST, Attempt.Outcome.SUCCEEDED]
    second = broken.attempts.get(number=2)
    assert 0 < second.first_step < 120
    assert second.steps == 120 - second.first_step
    assert whole.output is not None
    assert broken.output is not None
    assert whole.recipe["frames_sha256"] == broken.recipe["frames_sha256"]


def register_adapter(name: str, tmp_path: Path, seed: int, **differences: int) -> None:
    """A LoRA for the tiny model, as operators register one."""
    pipe = LTXConditionPipeline.from_pretrained(weights("tiny-ltx"))
    file = lora.write(tmp_path / f"{name}.safetensors", lora.factors(pipe.transformer, seed, **differences))
    adapter = Adapter(name=name, models_allowed=["tiny-ltx"])
    adapter.file = ContentFile(file.read_bytes(), file.name)
    adapter_registry.register(adapter)


def test_adapters_come_and_go_with_their_jobs(
    access: Access, picture: Asset, manage: RunManage, tmp_path: Path
) -> None:
    register_adapter("grain", tmp_path, 1)
    register_adapter("smoke", tmp_path, 2)
    register_adapter("unfit", tmp_path, 3, wider=8)
    worn = ([], ["grain"], ["smoke", "grain"], ["unfit"], [], ["grain"])
    wishes = [tuple(AdapterWish(name, 0.7) for name in names) for names in worn]
    jobs = [submit(access, picture, seed=5, adapters=some) for some in wishes]
    models = tmp_path / "models"  # the weights, and room for this test's copies
    models.mkdir()
    (models / "tests--tiny-ltx").symlink_to(weights("tiny-ltx"))
    with manage("worker", "--model", "tiny-ltx", MODELS_FOLDER=str(models)):
        for job, names in zip(jobs, worn, strict=True):
            wait_for_state(job, "failed" if names == ["unfit"] else "succeeded", seconds=LOADED)
    bare, grain, both, unfit, bare_again, grain_again = jobs
    assert unfit.error_code == "adapter_unfit"
    assert "the adapter unfit does not fit the model" in unfit.error_message
    assert unfit.attempts.count() == 1, "the same fails anywhere"
    clips = {job: job.recipe["frames_sha256"] for job in jobs if job.output}
    assert clips[bare] == clips[bare_again]
    assert clips[grain] == clips[grain_again]
    assert len({clips[bare], clips[grain], clips[both]}) == 3
    assert [[use["name"] for use in job.recipe["adapters"]] for job in (bare, both)] == [[], ["smoke", "grain"]]
    assert (tmp_path / "worker.log").read_text().count("is loaded and warm") == 1
