"""A hub on loopback, a folder for models, a GPU, and a model of the catalog that needs weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from generation.catalog.schema import Model
from tests.generation.conftest import AddModel
from tests.generation.weights.hub import FakeHub, running
from tests.generation.weights.scene import GPU, STILL, WEIGHTS

Put = Callable[..., Model]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub on loopback, in place of both real ones; what the libraries read when they are loaded is set anew."""
    with running() as fake:
        for name, value in {
            "ENDPOINT": fake.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": fake.address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "DOWNLOAD_CHUNK_SIZE": 2**16,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", fake.address)
        yield fake


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """Where models are pulled to."""
    settings.MODELS_FOLDER = str(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture(autouse=True)
def licences(db: None) -> None:
    """Models that ship have licences that must be accepted, and the database knows which are."""


@pytest.fixture(autouse=True)
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.management.commands.models.gpus", lambda: [GPU])


@pytest.fixture
def put(add_model: AddModel) -> Put:
    """Puts the model `mine` into the catalog, with weights."""

    def add(weights: str = WEIGHTS, licence: str = "", more: str = "") -> Model:
        text = STILL.replace('"still"', '"mine"').replace('"Still"', '"Mine"')
        return add_model(
            text.replace("commercial_use = true", f"commercial_use = true\n{licence}") + weights + more
        )

    return add
