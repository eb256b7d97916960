"""What an engine is loaded with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generation import catalog
from generation.weights import manifest
from generation.weights.manifest import Manifest
from generation.weights.needs import HubName
from generation.worker.setup import setup_of


def test_a_machines_switches_reach_the_engine_under_the_models_own(settings: Any) -> None:
    settings.ENGINE_SWITCHES = {"compile": False, "attention": "cudnn"}
    model = catalog.models()["still"]
    assert setup_of(model, "").options == {"compile": False, "attention": "cudnn", **model.options}
    particular = model.model_copy(update={"options": {"attention": "native"}})
    assert setup_of(particular, "").options == {"compile": False, "attention": "native"}


def test_the_pulled_commit_reaches_the_engine(settings: Any, tmp_path: Path) -> None:
    settings.MODELS_FOLDER = str(tmp_path)
    model = catalog.models()["tiny-ltx"]
    assert setup_of(model, "full").revision == ""
    pulled = Manifest(
        repository="tests/tiny-ltx", hub=HubName.HUGGINGFACE, revision="a" * 40, patterns=["*"], files={}
    )
    manifest.write(tmp_path / "tests--tiny-ltx", pulled)
    assert setup_of(model, "full").revision == "a" * 40
    (tmp_path / "tests--tiny-ltx" / manifest.NAME).write_text("not JSON")
    assert setup_of(model, "full").revision == ""


def test_the_warm_up_is_what_will_mostly_be_asked() -> None:
    usual = setup_of(catalog.models()["tiny-ltx"], "full").warm_up
    assert usual is not None
    assert (usual.mode, usual.width, usual.height, usual.frames) == ("i2v", 64, 64, 9)
