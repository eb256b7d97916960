"""Compiled blocks, with a compiler that only counts: the real one takes longer than a test may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from generation.engines.base import EngineRequest
from generation.engines.diffusion import DiffusionEngine, compiling, memory
from tests.generation.engines.cases import ltx
from tests.generation.engines.recording import run


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """One entry for each graph that is compiled while the test runs."""
    found: list[str] = []

    def count(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        found.append(str(graph.graph))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=count))
    yield found
    compiling.forget()


@pytest.fixture
def loaded() -> Iterator[tuple[DiffusionEngine, EngineRequest]]:
    case = ltx()
    engine = case.engine()
    assert isinstance(engine, DiffusionEngine)
    engine.load(case.setup)
    yield engine, replace(case.request, steps=6)
    engine.unload()


def test_blocks_share_their_code_and_step_caches_stay_outside(
    loaded: tuple[DiffusionEngine, EngineRequest], graphs: list[str]
) -> None:
    engine, request = loaded
    exact, cached = run(engine, request), run(engine, replace(request, step_cache="strong"))
    assert not compiling.is_compiled(engine.pipe.transformer)
    compiling.compile_blocks([engine.pipe.transformer])
    assert compiling.is_compiled(engine.pipe.transformer)
    assert np.array_equal(run(engine, request), exact)
    assert len(graphs) == 1, "of two blocks that are alike"
    for _ in range(2):
        assert np.array_equal(run(engine, replace(request, step_cache="strong")), cached)
        assert np.array_equal(run(engine, request), exact)
    assert len(graphs) == 1


def test_a_second_size_is_compiled_once_and_a_third_not_at_all(
    loaded: tuple[DiffusionEngine, EngineRequest], graphs: list[str]
) -> None:
    engine, request = loaded
    compiling.compile_blocks([engine.pipe.transformer])
    for compiled, width, height in ((1, 32, 32), (2, 64, 32), (2, 64, 96), (2, 96, 96)):
        run(engine, replace(request, width=width, height=height))
        assert len(graphs) == compiled


def test_nothing_is_compiled_where_it_would_not_help(loaded: tuple[DiffusionEngine, EngineRequest]) -> None:
    engine, _ = loaded
    assert not engine.compiled, "on the CPU"
    full, offload = memory.plan_called("full"), memory.plan_called("offload")
    assert engine._compiles(full)
    assert not engine._compiles(offload)
    engine.quantised = "layerwise"
    assert not engine._compiles(full)
    engine.quantised = "dynamic"
    assert engine._compiles(full)
    engine.setup = replace(engine.setup, options={"compile": False})
    assert not engine._compiles(full)


def test_a_machine_that_cannot_compile_serves_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(torch, "compile", broken)
    assert not compiling.can_compile(torch.device("cuda"))
    assert "no C compiler" in caplog.text
