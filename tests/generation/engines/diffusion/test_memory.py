"""Memory plans: what is lent to the device, what is pinned, and hooks that come and go meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from diffusers.hooks import HookRegistry, ModelHook

from generation.engines.base import Engine, EngineRequest
from generation.engines.diffusion import memory
from generation.engines.diffusion.memory import PLANS, on_device
from tests.generation.engines.recording import Recorder, generate, run


class Pipe:
    """As much of a pipeline as lending needs."""

    def __init__(self) -> None:
        self.text_encoder = torch.nn.BatchNorm1d(4)


def test_lent_text_encoders_come_home_to_their_own_weights() -> None:
    pipe = Pipe()
    encoder = pipe.text_encoder
    weights = encoder.weight.data
    # Nothing can come back from meta: what is there again has never left.
    with on_device(pipe, PLANS["full"], torch.device("meta")):
        assert encoder.weight.device.type == "cpu"
    encoder.running_mean = None  # a buffer does come back, from a device that has one
    encoder.running_var = None
    encoder.num_batches_tracked = None
    with on_device(pipe, PLANS["lean"], torch.device("meta")):
        assert encoder.weight.device.type == "meta"
    assert encoder.weight.data_ptr() == weights.data_ptr()


@pytest.mark.parametrize("variable", ["", *memory.ALLOCATOR_VARIABLES])
def test_memory_is_kept_in_one_piece_unless_the_environment_says_how(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in memory.ALLOCATOR_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "expandable_segments:False")
    torch._C._accelerator_setAllocatorSettings("expandable_segments:False")
    memory.keep_in_one_piece()
    kept = torch._C._accelerator_getAllocatorSettings()
    assert kept == f"expandable_segments:{not variable}"


@pytest.mark.parametrize(
    ("free", "limit", "pins"), [(4096, "max", True), (256, "max", False), (4096, "512", False)]
)
def test_no_more_is_pinned_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, limit: str, pins: bool
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Free", (), {"available": free}))
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("100\n")
    # 600 bytes take 1024 where they are pinned.
    assert memory._can_pin([torch.nn.Linear(150, 1, bias=False)]) is pins


class ComesOff(ModelHook):
    """As group offloading's hook: it takes itself off after the first forward, once it has seen the order."""

    def post_forward(self, module: torch.nn.Module, output: object) -> object:
        HookRegistry.check_if_exists_or_initialize(module).remove_hook("comes off", recurse=False)
        return output


def test_a_hook_that_comes_off_in_the_middle_costs_no_checkpoint(tiny_ltx: tuple[Engine, EngineRequest]) -> None:
    engine, request = tiny_ltx
    exact = run(engine, request)
    transformer = engine.pipe.transformer  # type: ignore[attr-defined]
    HookRegistry.check_if_exists_or_initialize(transformer).register_hook(ComesOff(), "comes off")
    recorder = Recorder(request)
    generate(engine, request, recorder)
    assert recorder.asked_at == [done for done, _ in recorder.steps[:-1]]
    assert np.array_equal(recorder.frames, exact)
    assert np.array_equal(run(engine, request), exact)
