"""Every family takes adapters, or says that it takes none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generation import catalog
from generation.engines.base import AdapterUse, EngineError
from tests.generation.engines.cases import (
    Case,
    cogvideox_i2v,
    hunyuan15_t2v,
    hunyuan_token_replace,
    ltx2_t2v,
    svd,
    wan_i2v,
    wan_ti2v,
)
from tests.generation.engines.recording import run, take_up
from tests.tiny import lora

WITH = [cogvideox_i2v, hunyuan_token_replace, ltx2_t2v, wan_i2v, wan_ti2v]
WITHOUT = [hunyuan15_t2v, svd]


def brief(make_case: Callable[[], Case]) -> tuple[Any, Any]:
    case = make_case()
    return take_up(case.engine, case.setup), replace(case.request, steps=max(2, (case.request.steps or 0) // 4))


@pytest.mark.parametrize("make_case", WITH, ids=lambda make_case: make_case.__name__)
def test_a_family_that_takes_adapters(make_case: Callable[[], Case], tmp_path: Path) -> None:
    engine, request = brief(make_case)
    file = lora.write(tmp_path / "a.safetensors", lora.factors(engine.pipe.transformer, 1))
    bare = run(engine, request)
    use = AdapterUse("a", file, 0.7)
    acting = run(engine, replace(request, adapters=(use,)))
    assert not np.array_equal(acting, bare)
    if getattr(engine.pipe, "transformer_2", None) is not None:
        pair = run(engine, replace(request, adapters=(replace(use, low_noise_file=file),)))
        assert not np.array_equal(pair, acting)
    assert np.array_equal(run(engine, request), bare)
    assert np.array_equal(run(engine, replace(request, adapters=(use,))), acting)
    engine.unload()


@pytest.mark.parametrize("make_case", WITHOUT, ids=lambda make_case: make_case.__name__)
def test_a_family_that_takes_none(make_case: Callable[[], Case], tmp_path: Path) -> None:
    engine, request = brief(make_case)
    part = engine.pipe.components.get("transformer") or engine.pipe.unet
    file = lora.write(tmp_path / "a.safetensors", lora.factors(part, 1))
    with pytest.raises(EngineError) as caught:
        run(engine, replace(request, adapters=(AdapterUse("a", file),)))
    assert (caught.value.code, caught.value.blame) == ("adapters_unsupported", "user")
    engine.unload()


def test_the_catalog_offers_adapters_where_there_are_any() -> None:
    by_engine = {model.engine.partition(":")[2]: model for model in catalog.models().values()}
    for make_cases, takes in ((WITH, True), (WITHOUT, False)):
        for make_case in make_cases:
            model = by_engine.get(make_case().engine.__name__)
            assert model is None or model.lora is takes, model
