"""Steps that hardly differ from an earlier one are not computed anew: three named strengths, by First Block Cache.

The first block of the denoiser is computed at every step. Where what it adds differs little from what it added at
the last step that was computed in full, the other blocks add what they added then. diffusers does that; here it
is said when it may: never at the first steps, only some steps in a row, and for all forwards of a step alike
(guidance makes two). It changes the picture, so only presets that say so ask for it.

What is remembered has the size of all tokens, some GB for the largest clips: too much for a checkpoint. But a
step that is computed in full leaves behind what depends on that step alone. So a checkpoint is the state before
the last such step, or the state now where the next step will be one: whoever goes on from it computes that step
in full, as it was, and needs no memory of the ones before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from diffusers import FirstBlockCacheConfig
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.hooks.first_block_cache import _FBC_LEADER_BLOCK_HOOK
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformerBlock

from generation.engines.base import EngineError
from generation.engines.diffusion.blocks import repeated_blocks


@dataclass(frozen=True, slots=True)
class Strength:
    """`difference` is relative: a step may be spared that differs by no more. `in_a_row` is how many may follow
    one another."""

    difference: float
    in_a_row: int


STRENGTHS = {
    "light": Strength(0.05, 1),
    "balanced": Strength(0.08, 2),
    "strong": Strength(0.12, 4),
}
COMPUTED_FIRST = 4
"""Steps at the beginning, where a picture finds its shape, that are always computed. At least two: a first
checkpoint must have something to stand on."""

SERVED = frozenset(
    {
        "LTXVideoTransformer3DModel",
        "LTX2VideoTransformer3DModel",
        "WanTransformer3DModel",
        "HunyuanVideoTransformer3DModel",
        "CogVideoXTransformer3DModel",
    }
)
"""Denoisers that do nothing between their blocks, so that blocks can be left out. Others, such as Wan-Animate, add
faces or sound there; SVD's is no row of blocks."""

ALWAYS, NEVER = -1.0, inf
"""Differences from which on a step is computed."""


class _TwoStreams(TransformerBlockMetadata):
    """LTX-2's blocks hand on picture and sound; what diffusers calls the words is here the sound."""

    def _get_parameter_from_args_kwargs(self, identifier: str, args: Any = (), kwargs: Any = None) -> Any:
        name = "audio_hidden_states" if identifier == "encoder_hidden_states" else identifier
        return super()._get_parameter_from_args_kwargs(name, args, kwargs)


TransformerBlockRegistry.register(
    LTX2VideoTransformerBlock,
    _TwoStreams(return_hidden_states_index=0, return_encoder_hidden_states_index=1),
)


class StepCache:
    """The cache of one request, over all denoisers of its pipeline."""

    def __init__(self, denoisers: Sequence[Any], strength: str) -> None:
        try:
            self._strength = STRENGTHS[strength]
        except KeyError:
            known = ", ".join(STRENGTHS)
            raise EngineError(
                "step_cache_unknown", f"the step cache must be one of {known}, but is {strength!r}", "ours"
            ) from None
        for denoiser in denoisers:
            if type(denoiser).__name__ not in SERVED:
                raise EngineError("step_cache_unsupported", f"{type(denoiser).__name__} has no step cache", "user")
        self._denoisers = denoisers
        self._heads: dict[int, Any] = {}
        self._step, self._calls = -1, 0
        self._in_a_row = 0
        self._computes = True
        """Whether the step that is under way is computed in full, as its first forward found."""
        self.computed = 0
        """Steps that were computed in full."""
        self._fresh = True

    @contextmanager
    def on(self) -> Iterator[None]:
        """While this is open, the denoisers have the cache; what it remembers is gone afterwards."""
        try:
            for denoiser in self._denoisers:
                denoiser.enable_cache(FirstBlockCacheConfig(threshold=self._strength.difference))
                self._heads[id(denoiser)] = _head_of(denoiser)
            yield
        finally:
            for denoiser in self._denoisers:
                if denoiser.is_cache_enabled:
                    denoiser.disable_cache()

    def must_compute(self, done: int) -> bool:
        """Whether the step after `done` steps will be computed in full, whatever the cache remembers."""
        return self._fresh or done < COMPUTED_FIRST or self._in_a_row >= self._strength.in_a_row

    def forward(self, denoiser: Any, done: int, real: Callable[[], Any]) -> tuple[Any, bool]:
        """One forward, as the cache has it, and whether it was computed in full."""
        first = done != self._step
        if first:
            self._step, self._calls = done, 0
        head = self._heads[id(denoiser)]
        if not first:
            head.threshold = ALWAYS if self._computes else NEVER
        else:
            head.threshold = ALWAYS if self.must_compute(done) else self._strength.difference
        # A name of our own for each forward of a step: some pipelines give none, and some give one to all.
        with denoiser.cache_context(f"forward {self._calls}"):
            returned = real()
            computed: bool = head.state_manager.get_state().should_compute
        self._calls += 1
        if first:
            self._computes, self._fresh = computed, False
            self._in_a_row = 0 if computed else self._in_a_row + 1
            self.computed += computed
        return returned, computed


def _head_of(denoiser: torch.nn.Module) -> Any:
    """The hook that decides, on the first block."""
    for _, block in repeated_blocks(denoiser):
        hook = block._diffusers_hook.get_hook(_FBC_LEADER_BLOCK_HOOK)
        if hook is not None:
            return hook
    raise EngineError("step_cache_failed", f"{type(denoiser).__name__} has no first block", "ours")
