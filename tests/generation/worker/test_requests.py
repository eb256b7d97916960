"""What the engine is asked for, made from the job and its picture."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from assets.models import Asset
from assets.services import delete
from generation.engines.base import EngineError
from generation.scheduling.claims import Claimant, claim
from generation.worker.attempt_run import make_request
from generation.worker.leases import Hold
from mutoscope.accounts.selectors import Access
from tests.generation.samples import PAID, submit


def test_the_engine_gets_a_copy_of_the_picture(access: Access, picture: Asset, tmp_path: Path) -> None:
    job = submit(access, picture, prompt="push in", seed=3)
    claimed = claim([PAID], Claimant("w"))
    assert claimed is not None
    request = make_request(Hold(claimed, time.monotonic()), tmp_path, "")
    assert request.image == tmp_path / "picture.png"
    assert request.image.read_bytes() == Path(picture.file.path).read_bytes()
    assert (request.prompt, request.seed, request.frames, request.fps) == ("push in", 3, job.frames, job.fps)


def test_a_picture_deleted_meanwhile_is_the_persons_doing(access: Access, picture: Asset, tmp_path: Path) -> None:
    submit(access, picture)
    delete(access, picture.pk)
    claimed = claim([PAID], Claimant("w"))
    assert claimed is not None
    with pytest.raises(EngineError) as refused:
        make_request(Hold(claimed, time.monotonic()), tmp_path, "")
    assert (refused.value.code, refused.value.blame) == ("picture_deleted", "user")
