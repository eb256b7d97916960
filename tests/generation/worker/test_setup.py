"""What an engine is loaded with."""

from __future__ import annotations

from typing import Any

from generation import catalog
from generation.worker.setup import setup_of


def test_a_machines_switches_reach_the_engine_under_the_models_own(settings: Any) -> None:
    settings.ENGINE_SWITCHES = {"compile": False, "attention": "cudnn"}
    model = catalog.models()["still"]
    assert setup_of(model, "").options == {"compile": False, "attention": "cudnn", **model.options}
    particular = model.model_copy(update={"options": {"attention": "native"}})
    assert setup_of(particular, "").options == {"compile": False, "attention": "native"}
