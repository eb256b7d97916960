"""HunyuanVideo from a first frame: the words are read together with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generation.engines.base import Engine, EngineError, EngineRequest, EngineSetup
from generation.engines.process import make
from tests.generation.engines.pictures import PHOTOGRAPH
from tests.generation.engines.recording import run
from tests.tiny import weights

ENGINE = "generation.engines.hunyuan:HunyuanVideoEngine"


def setup(name: str) -> EngineSetup:
    return EngineSetup(model=name, weights=weights(name), memory_plan="lean", precision="fp32")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = make(ENGINE)
    made.load(setup("tiny-hunyuan-i2v"))
    yield made
    made.unload()


@pytest.fixture
def wished() -> EngineRequest:
    return EngineRequest("i2v", "a cat", 32, 32, 9, 8, 7, image=PHOTOGRAPH, steps=2, guidance=6.0)


def test_the_same_words_are_read_anew_with_another_picture(
    engine: Engine, wished: EngineRequest, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (64, 64), "orange").save(other)
    run(engine, wished)
    after = run(engine, replace(wished, image=other))
    engine.unload()
    engine.load(setup("tiny-hunyuan-i2v"))
    assert np.array_equal(run(engine, replace(wished, image=other)), after)


def test_weights_of_another_pipeline_are_refused() -> None:
    made = make(ENGINE)
    with pytest.raises(EngineError, match=r"must be of a HunyuanVideo.*, but .* has a LTX2Pipeline") as caught:
        made.load(setup("tiny-ltx2"))
    assert caught.value.blame == "machine"
