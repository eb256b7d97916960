"""What the engine is asked for, made from the job and its picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from assets.models import Asset
from assets.services import upload
from assets.trash import delete
from generation import services
from generation.engines.base import EngineError, EngineRequest
from generation.models import Job
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from generation.worker.attempt_run import make_request
from generation.worker.leases import Hold
from mutoscope.accounts.selectors import Access
from tests.conftest import picture_file
from tests.generation.samples import PAID, submit


def test_the_engine_gets_a_copy_of_the_picture(access: Access, picture: Asset, tmp_path: Path) -> None:
    job = submit(access, picture, prompt="push in", seed=3)
    claimed = claim([PAID], Claimant("w"))
    assert claimed is not None
    request = make_request(Hold(claimed, time.monotonic()), tmp_path, "")
    assert request.image == tmp_path / "picture.png"
    assert request.image.read_bytes() == Path(picture.file.path).read_bytes()
    assert (request.prompt, request.seed, request.frames, request.fps) == ("push in", 3, job.frames, job.fps)


def claimed_request(access: Access, folder: Path, **wishes: Any) -> EngineRequest:
    """What the engine is asked for a zoetrope job."""
    services.submit(access, JobRequest(model="zoetrope", **wishes))
    claimed = claim([Lane("zoetrope", "paid")], Claimant("w"))
    assert claimed is not None
    return make_request(Hold(claimed, time.monotonic()), folder, "")


def test_the_engine_gets_the_last_picture_too(access: Access, picture: Asset, tmp_path: Path) -> None:
    last = upload(access, picture_file(80, 70))
    request = claimed_request(access, tmp_path, mode="flf2v", picture=picture.pk, last_picture=last.pk)
    assert request.last_image == tmp_path / "last-picture.png"
    assert request.last_image.read_bytes() == Path(last.file.path).read_bytes()
    assert request.image == tmp_path / "picture.png"


def test_the_engine_gets_what_the_preset_says(access: Access, tmp_path: Path) -> None:
    request = claimed_request(access, tmp_path, mode="t2v", preset="draft")
    assert (request.step_cache, dict(request.options), request.steps) == ("strong", {"shift": 5.0}, 2)
    assert (request.guidance, request.width, request.height, request.frames) == (1.0, 96, 96, 9)
    assert request.last_image is None
    request = claimed_request(access, tmp_path, mode="t2v")
    assert (request.step_cache, dict(request.options)) == ("", {})


def test_a_preset_that_has_left_the_catalog_is_our_doing(access: Access, tmp_path: Path) -> None:
    job = services.submit(access, JobRequest(model="zoetrope", mode="t2v"))
    Job.objects.filter(pk=job.pk).update(preset="gone")
    claimed = claim([Lane("zoetrope", "paid")], Claimant("w"))
    assert claimed is not None
    with pytest.raises(EngineError, match="the preset gone is no longer in the catalog") as failed:
        make_request(Hold(claimed, time.monotonic()), tmp_path, "")
    assert failed.value.blame == "ours"


def test_a_picture_deleted_meanwhile_is_the_persons_doing(access: Access, picture: Asset, tmp_path: Path) -> None:
    submit(access, picture)
    delete(access, picture.pk)
    claimed = claim([PAID], Claimant("w"))
    assert claimed is not None
    with pytest.raises(EngineError) as refused:
        make_request(Hold(claimed, time.monotonic()), tmp_path, "")
    assert (refused.value.code, refused.value.blame) == ("picture_deleted", "user")
