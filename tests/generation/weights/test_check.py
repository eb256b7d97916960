"""Checking what is on this machine: files, pipelines, GPUs, licences; and what `models list` makes of them."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from generation.models import LicenceAcceptance
from generation.weights import manifest
from generation.worker.gpu import Gpu
from tests.generation.weights.conftest import Put
from tests.generation.weights.hub import FakeHub
from tests.generation.weights.scene import (
    BIG,
    FILES,
    MEMORY,
    REPOSITORY,
    check,
    listed,
    models,
)


def test_check_finds_what_went_wrong_later(hub: FakeHub, folder: Path, put: Put) -> None:
    put()
    hub.publish(REPOSITORY, FILES)
    assert "has not been pulled" in check()
    models("pull", "mine")
    home = folder / "studio--still-1"
    damaged = bytearray(FILES[BIG])
    damaged[1_000_000] ^= 1
    (home / BIG).write_bytes(damaged)
    models("check", "mine")  # sizes alone do not show it
    assert "is damaged: its SHA-256 must be" in check("--deep")
    models("pull", "mine")  # trusts what is there
    assert "is damaged" in check("--deep")
    models("pull", "mine", "--deep")
    models("check", "mine", "--deep")

    (home / BIG).write_bytes(b"short")
    (home / "transformer/config.json").unlink()
    said = check()
    assert f"must have {len(FILES[BIG])} bytes, but has 5" in said
    assert "transformer/config.json is missing" in said
    assert listed()["weights"] == "partial"
    models("pull", "mine")
    shutil.rmtree(home / "vae")
    assert "names the part vae, but" in check()
    (home / manifest.NAME).write_text("{")
    assert "cannot be read; remove it and pull again" in check()


def test_local_folders_are_checked_and_never_pulled(hub: FakeHub, tmp_path: Path, put: Put) -> None:
    home = tmp_path / "own"
    put(f'\n[weights]\nfolder = "{home}"\ngib = 1\n')
    assert listed()["weights"] == "missing"
    assert "is not there" in check()
    with pytest.raises(SystemExit):
        models("path", "mine")
    for path, content in FILES.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(content)
    assert listed()["weights"] == "local folder"
    assert "nothing is pulled into it" in models("pull", "mine")
    models("check", "mine")
    shards = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (home / "transformer/model.safetensors.index.json").write_text(json.dumps(shards))
    (home / "transformer/model-1.safetensors").write_bytes(b"1")
    said = check()
    assert "names model-2.safetensors, but it is not there" in said
    assert "model-1.safetensors" not in said
    (home / "model_index.json").unlink()
    assert "has no model_index.json" in check()


@pytest.mark.parametrize(
    ("mib", "plan"),
    [(81559, "full on 0"), (24 * 1024, "light on 0"), (16 * 1024, "needs 20 GiB of GPU memory"), (0, "no GPU")],
)
def test_the_gpus_plan(hub: FakeHub, put: Put, monkeypatch: pytest.MonkeyPatch, mib: int, plan: str) -> None:
    card = Gpu(index=0, uuid="GPU-1", name="NVIDIA Something", total_mib=mib, used_mib=0)
    monkeypatch.setattr("generation.management.commands.models.gpus", lambda: [card] if mib else [])
    put(more=MEMORY)
    hub.publish(REPOSITORY, FILES)
    models("pull", "mine")
    assert plan in (models("check", "mine") if " on " in plan else check())
    out = io.StringIO()
    call_command("models", stdout=out)  # without words it lists
    (row,) = [line for line in out.getvalue().splitlines() if line.startswith("mine")]
    assert ("too small on 0" if "GPU memory" in plan else plan) in row


def test_models_whose_licence_must_be_accepted_are_not_pulled(hub: FakeHub, put: Put, db: None) -> None:
    put(licence='must_accept = true\nversion = "1"')
    hub.publish(REPOSITORY, FILES)
    assert listed()["licence_state"] == "must be accepted"
    with pytest.raises(CommandError, match="Mine runs once an operator has accepted"):
        models("pull", "mine")
    assert hub.asked == []
    assert "once an operator has accepted" in check()
    LicenceAcceptance.objects.create(
        model="mine", licence="The platform's own", version="1", territory="US", accepted_at="2026-01-01T00:00Z"
    )
    models("pull", "mine")
    assert listed()["licence_state"] == "accepted"


def test_models_that_need_nothing_and_models_that_are_not_there(put: Put) -> None:
    assert "Preview needs no weights" in models("pull", "preview")
    assert "weights none needed" in models("check", "preview")
    with pytest.raises(CommandError, match="Preview needs no weights"):
        models("path", "preview")
    with pytest.raises(CommandError, match=r"the model must be one of .*preview, .* but is 'sora'"):
        models("check", "sora")
