"""Pulling weights: nothing is fetched twice, and nothing wrong is taken for right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from huggingface_hub import constants

from generation import catalog
from generation.weights import manifest
from generation.weights.needs import needs_of
from tests.conftest import BASE_DIR, wait_for
from tests.generation.conftest import AddModel
from tests.generation.weights.conftest import Put
from tests.generation.weights.hub import FakeHub
from tests.generation.weights.scene import (
    ADAPTER,
    BIG,
    FILES,
    REPOSITORY,
    STILL,
    WEIGHTS,
    check,
    listed,
    models,
)


def test_a_pull_brings_what_the_catalog_names_and_pins_it(hub: FakeHub, folder: Path, put: Put) -> None:
    put()
    commit = hub.publish(REPOSITORY, FILES)
    assert listed()["weights"] == "missing"
    said = models("pull", "mine")
    assert "4 files" in said
    assert "100 %" in said
    home = folder / "studio--still-1"
    for path, content in FILES.items():
        assert ((home / path).read_bytes() == content) if path != "README.md" else not (home / path).exists()
    written = manifest.read(home)
    assert written is not None
    assert (written.repository, written.hub, written.revision) == (REPOSITORY, "huggingface", commit)
    assert {path: file.size for path, file in written.files.items()} == {
        path: len(content) for path, content in FILES.items() if path != "README.md"
    }
    assert all(len(file.sha256) == 64 for file in written.files.values())
    assert isinstance(written.pulled_at, datetime)
    assert listed()["weights"] == "complete"
    assert models("path", "mine").strip() == str(home)
    assert "weights complete, plan" in models("check", "mine", "--deep")


def test_a_second_pull_fetches_nothing_and_keeps_to_its_commit(hub: FakeHub, folder: Path, put: Put) -> None:
    put()
    first = hub.publish(REPOSITORY, FILES)
    models("pull", "mine")
    fetched = len(hub.asked)
    second = hub.publish(REPOSITORY, FILES | {"transformer/config.json": b'{"layers": 3}'})
    assert first in models("pull", "mine")
    assert len(hub.asked) == fetched
    said = models("pull", "mine", "--update")
    assert f"from {first} to {second}" in said
    assert hub.asked[fetched:] == [("transformer/config.json", "", "")]
    assert (folder / "studio--still-1/transformer/config.json").read_bytes() == b'{"layers": 3}'
    models("check", "mine", "--deep")


def test_the_catalogs_commit_goes_first(hub: FakeHub, put: Put) -> None:
    first = hub.publish(REPOSITORY, FILES)
    second = hub.publish(
        REPOSITORY, {path: data for path, data in FILES.items() if path != "transformer/config.json"}
    )
    put(WEIGHTS + f'revision = "{first}"')
    assert first in models("pull", "mine")
    put(WEIGHTS + f'revision = "{second}"')
    assert listed()["weights"] == "another revision"
    assert f"holds the revision {first}, but the catalog wants {second}" in check()
    models("pull", "mine")
    assert listed()["weights"] == "complete"
    assert not (Path(listed()["folder"]) / "transformer/config.json").exists()


def test_a_broken_connection_is_taken_up_within_the_file(hub: FakeHub, folder: Path, put: Put) -> None:
    put()
    hub.publish(REPOSITORY, FILES)
    hub.breaks[BIG] = 2**20
    models("pull", "mine")
    assert hub.ranges(BIG) == ["", f"bytes={2**20}-"]
    assert (folder / "studio--still-1" / BIG).read_bytes() == FILES[BIG]


def test_a_killed_pull_goes_on_where_it_stopped(hub: FakeHub, folder: Path, put: Put, settings: Any) -> None:
    put()
    hub.publish(REPOSITORY, FILES)
    hub.hangs[BIG] = 2**20
    code = (
        "from huggingface_hub import constants; constants.DOWNLOAD_CHUNK_SIZE = 2**16;"
        "from django.core.management import execute_from_command_line;"
        "execute_from_command_line(['manage.py', 'models', 'pull', 'mine'])"
    )
    environment = {
        **os.environ, "HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "MODELS_FOLDER": str(folder),
        "DJANGO_SETTINGS_MODULE": "mutoscope.settings", "CATALOG_FOLDERS": ",".join(settings.CATALOG_FOLDERS),
        "PYTHONPATH": os.pathsep.join([str(BASE_DIR), str(BASE_DIR / "platform")]),
    }  # fmt: skip
    part = manifest.incomplete(folder / "studio--still-1" / BIG)
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL) as pulling:
        wait_for(lambda: manifest.size_of(part) == 2**20, what="a MiB of the file")
        others = [folder / "studio--still-1" / path for path in FILES if path not in {BIG, "README.md"}]
        wait_for(lambda: all(path.exists() for path in others), what="the other files")
        with pytest.raises(CommandError, match=r"another pull into .*still-1 is under way"):
            models("pull", "mine")
        pulling.send_signal(signal.SIGKILL)
    assert listed()["weights"] == "partial"
    assert "model.safetensors is missing" in check()
    fetched = len(hub.asked)
    models("pull", "mine")
    assert hub.asked[fetched:] == [(BIG, f"bytes={2**20}-", "")]
    models("check", "mine", "--deep")


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_what_came_is_not_counted_again(hub: FakeHub, folder: Path, put: Put, source: str) -> None:
    put()
    for name in (REPOSITORY, "StudioCN/still-1"):
        hub.publish(name, FILES)
    models("pull", "mine", "--from", source)
    target = folder / "studio--still-1" / BIG
    target.unlink()
    manifest.incomplete(target).write_bytes(FILES[BIG][: 2**20])
    said = models("pull", "mine", "--from", source)
    assert hub.ranges(BIG) == ["", f"bytes={2**20}-"]
    assert " 100 %" in said
    models("check", "mine", "--deep")


def test_ctrl_c_ends_every_download_where_it_is(
    hub: FakeHub, folder: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put()
    hub.publish(REPOSITORY, FILES)
    hub.breaks[BIG] = 2**20

    def interrupted(*arguments: Any, **options: Any) -> None:
        wait_for(lambda: BIG not in hub.breaks, what="the beginning of the file")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("generation.weights.pull.wait", interrupted)
        with pytest.raises(CommandError, match="stopped; what came is kept"):
            models("pull", "mine")
    assert not (folder / "studio--still-1" / BIG).exists()
    models("pull", "mine")
    models("check", "mine", "--deep")


def test_a_disk_that_is_too_small_is_told_before_anything_comes(hub: FakeHub, folder: Path, put: Put) -> None:
    put()
    hub.publish(REPOSITORY, FILES, claims={BIG: 2**60})
    with pytest.raises(CommandError, match=r"has \d+\.\d GiB free, but 1073741824\.\d GiB are still to come"):
        models("pull", "mine")
    assert hub.asked == []
    assert not (folder / "studio--still-1").exists()


def test_a_gated_repository_says_what_to_do(hub: FakeHub, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    hub.publish(REPOSITORY, FILES, needs_token="hf_right")
    for token in ("", "hf_wrong"):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(
            CommandError, match=f"is gated: accept its terms on {hub.address}/{REPOSITORY} and set HF_TOK"
        ):
            models("pull", "mine")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    models("pull", "mine")
    assert ("transformer/config.json", "", "Bearer hf_right") in hub.asked
    assert (BIG, "", "") in hub.asked, "the other origin must not see the token"


def test_hubs_that_do_not_have_it(hub: FakeHub, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    with pytest.raises(CommandError, match="still-1 is not there, or it is private: then set HF_TOKEN"):
        models("pull", "mine")
    hub.publish(REPOSITORY, {"model_index.json": b"{}"})
    with pytest.raises(CommandError, match=r"has no file transformer/\*, which the catalog wants"):
        models("pull", "mine")
    put(WEIGHTS + f'revision = "{"0" * 40}"')
    with pytest.raises(CommandError, match="has no such revision any more"):
        models("pull", "mine")
    hub.publish(REPOSITORY, FILES | {"vae/../../../evil": b""})
    put()
    with pytest.raises(CommandError, match="would lie outside of its folder"):
        models("pull", "mine")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CommandError, match="HF_HUB_OFFLINE is set"):
        models("pull", "mine")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CommandError, match=r"http://127\.0\.0\.1:9 broke off or cannot be reached"):
        models("pull", "mine")


def test_what_arrives_damaged_is_thrown_away(hub: FakeHub, folder: Path, put: Put) -> None:
    put()
    hub.publish(REPOSITORY, FILES)
    hub.corrupts.add(BIG)
    with pytest.raises(CommandError, match="arrived damaged and was thrown away"):
        models("pull", "mine")
    target = folder / "studio--still-1" / BIG
    assert not target.exists()
    assert not manifest.incomplete(target).exists()
    hub.corrupts.clear()
    models("pull", "mine")
    assert target.read_bytes() == FILES[BIG]


def test_what_was_brought_by_hand_is_hashed_and_kept(hub: FakeHub, folder: Path, put: Put) -> None:
    put()
    hub.publish(REPOSITORY, FILES)
    home = folder / "studio--still-1"
    (home / BIG).parent.mkdir(parents=True)
    (home / BIG).write_bytes(FILES[BIG])
    (home / "vae").mkdir()
    (home / "vae/model.safetensors").write_bytes(bytes(len(FILES["vae/model.safetensors"])))
    assert listed()["weights"] == "partial"
    models("pull", "mine")
    assert hub.ranges(BIG) == []
    assert hub.ranges("vae/model.safetensors") == [""]
    models("check", "mine", "--deep")


def test_parts_and_adapters_come_along(hub: FakeHub, folder: Path, put: Put) -> None:
    single = (
        '[weights.single_file]\npart = "transformer"\nhuggingface = "studio/better"\nfile = "better.safetensors"\n'
    )
    adapter = '[[adapters]]\nname = "fast"\nhuggingface = "studio/loras"\nfile = "fast.safetensors"\ngib = 0.1\n'
    put(WEIGHTS.replace('"transformer/*", ', ""), more=single + adapter)
    hub.publish(REPOSITORY, FILES)
    hub.publish("studio/better", {"better.safetensors": b"better"})
    hub.publish("studio/loras", ADAPTER)
    models("pull", "mine")
    assert (folder / "studio--better/better.safetensors").read_bytes() == b"better"
    assert [path.name for path in (folder / "studio--loras").glob("*.safetensors")] == ["fast.safetensors"]
    assert not (folder / "studio--still-1/transformer").exists()
    models("check", "mine", "--deep")  # the part that is replaced need not be there
    assert listed()["gib"] == pytest.approx(0.2)
    (folder / "studio--loras/fast.safetensors").unlink()
    assert listed()["weights"] == "partial"


def test_two_models_share_a_repository(hub: FakeHub, folder: Path, put: Put, add_model: AddModel) -> None:
    put()
    text = STILL.replace('"still"', '"yours"') + WEIGHTS.replace('"transformer/*", "vae/*"', '"README.md"')
    add_model(text)
    hub.publish(REPOSITORY, FILES)
    models("pull", "mine")
    assert listed("yours")["weights"] == "partial"
    models("pull", "yours")
    assert hub.ranges(BIG) == [""]
    assert {listed(slug)["weights"] for slug in ("mine", "yours")} == {"complete"}


def test_modelscope_by_its_own_library(hub: FakeHub, folder: Path, put: Put) -> None:
    put()
    hub.publish("StudioCN/still-1", FILES)
    hub.breaks[BIG] = 2**20
    models("pull", "mine", "--from", "modelscope")
    assert hub.ranges(BIG)[0] == ""
    assert hub.ranges(BIG)[1].startswith("bytes="), "broken-off files are taken up"
    home = folder / "studio--still-1"
    assert (home / BIG).read_bytes() == FILES[BIG]
    models("check", "mine", "--deep")
    assert listed()["weights"] == "complete"
    hub.publish("StudioCN/still-1", FILES | {"transformer/config.json": b'{"layers": 3}'})
    with pytest.raises(CommandError, match=r"transformer/config.json has changed at master.*--update"):
        models("pull", "mine", "--from", "modelscope")
    models("pull", "mine", "--from", "modelscope", "--update")
    assert (home / "transformer/config.json").read_bytes() == b'{"layers": 3}'

    hub.publish(REPOSITORY, FILES)
    fetched = len(hub.asked)
    assert "(huggingface)" in models("pull", "mine", "--from", "huggingface")
    assert sorted(path for path, _, _ in hub.asked[fetched:]) == ["model_index.json", "transformer/config.json"]


def test_a_hub_without_the_model_or_its_library(hub: FakeHub, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put(WEIGHTS.replace('modelscope = "StudioCN/still-1"', ""))
    with pytest.raises(CommandError, match="knows no weights of Mine on modelscope; take --from huggingface"):
        models("pull", "mine", "--from", "modelscope")
    put()
    with pytest.raises(CommandError, match="ModelScope has no StudioCN/still-1"):
        models("pull", "mine", "--from", "modelscope")
    for library, source in (("huggingface_hub", "huggingface"), ("modelscope_hub.api", "modelscope")):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(CommandError, match=rf"needs the package {library}.*make setup-gpu"):
            models("pull", "mine", "--from", source)


def test_every_model_of_the_catalog_can_be_pulled() -> None:
    for model in catalog.models().values():
        needs_of(model)


def test_a_folder_holds_one_commit(put: Put) -> None:
    single = (
        f'[weights.single_file]\npart = "vae"\nhuggingface = "{REPOSITORY}"\nrevision = "{"1" * 40}"\nfile = "x"\n'
    )
    put(WEIGHTS + f'revision = "{"2" * 40}"\n', more=single)
    with pytest.raises(CommandError, match="a folder holds one commit"):
        models("pull", "mine")
